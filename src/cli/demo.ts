export async function runDemo(): Promise<number> {
  return Promise.resolve(1);
}
