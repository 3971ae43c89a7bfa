import type { WalrustConfig } from './generated/types.js'

/** Gives a configuration its type, so that an editor completes it and knows mistakes. Does nothing else. */
export function defineConfig(config: WalrustConfig): WalrustConfig {
  return config
}

/** The same for a preset that takes options. */
export function definePreset<Options>(
  preset: (options: Options) => WalrustConfig | Promise<WalrustConfig>,
): (options: Options) => WalrustConfig | Promise<WalrustConfig> {
  return preset
}
