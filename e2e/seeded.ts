/** Numbers from 0 (inclusive) to 1 (exclusive), the same for the same seed: xorshift32. */
export function seededNumbers(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state / 2 ** 32
  }
}
