import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'node_modules/',
      '.tmp/',
      'core/kernel/kernel-bytes.ts',
      'core/config/generated/validate.ts',
      'plugins/generated/',
      'test/fixtures/',
    ],
  },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // What cannot be undefined by our own construction is written with `!` beside the reason; typed arrays need it often.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: {
      globals: { process: 'readonly', console: 'readonly', Buffer: 'readonly', structuredClone: 'readonly' },
    },
    rules: { 'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }] },
  },
  {
    files: ['examples/**/*.test.js'],
    languageOptions: { globals: { describe: 'readonly', it: 'readonly', after: 'readonly' } },
  },
  {
    // The core hands work to plugins through hooks and never knows one of them; nor does it know the command line.
    files: ['core/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', { patterns: ['**/plugins/**', '**/cli/**', '**/presets/**'] }],
    },
  },
  {
    // The formats know bytes only: no SQLite, no files, no sockets.
    files: ['core/ltx/**/*.ts', 'core/kernel/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: ['node:fs*', 'node:net', 'node:http*', 'better-sqlite3', 'tapable'] },
      ],
    },
  },
)
