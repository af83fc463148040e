import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'

/** For tests: CycloneDX's own JSON schema. */
const schemaDir = join(
  import.meta.dirname,
  '../../../../node_modules/@cyclonedx/cyclonedx-library/res/schema',
)

const read = (name: string) => JSON.parse(readFileSync(join(schemaDir, name), 'utf8'))

/** Problems with a document; empty when the schema has nothing against it. */
export function schemaProblems(document: unknown): string[] {
  // Formats are checked by patterns of the schema where they matter here; the formats of IRIs need another library.
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true })
  for (const name of ['spdx.SNAPSHOT.schema.json', 'jsf-0.82.SNAPSHOT.schema.json']) {
    ajv.addSchema(read(name), `http://cyclonedx.org/schema/${name}`)
  }
  const validate = ajv.compile(read('bom-1.6.SNAPSHOT.schema.json'))
  if (validate(document)) return []
  return validate.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`)
}

export function spdxIds(): Set<string> {
  return new Set<string>(read('spdx.SNAPSHOT.schema.json').enum)
}
