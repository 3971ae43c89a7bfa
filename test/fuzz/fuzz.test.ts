import { REGRESSIONS } from './regressions.js'
import { round, TARGETS } from './targets.js'

const rounds = Number(process.env.WALRUST_FUZZ_ROUNDS ?? 12_000)
const first = Number(process.env.WALRUST_FUZZ_SEED ?? 20_261_124)

describe('what reads bytes from outside', function () {
  this.timeout(300_000)

  it(`takes ${rounds} damaged inputs from seed ${first} on`, async () => {
    for (let i = 0; i < rounds; i++) await round(first + i)
  })

  for (const { name } of TARGETS) {
    it(`takes some for ${name}`, async () => {
      for (let i = 0; i < 20; i++) await round(first + i, name)
    })
  }

  for (const { target, seed, found } of REGRESSIONS) {
    it(`${target}, seed ${seed}: ${found}`, async () => {
      await round(seed, target)
    })
  }
})
