export async function events(_json: boolean): Promise<number> {
  return 0
}
