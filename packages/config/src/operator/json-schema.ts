import { operatorSchema } from './contract.ts'
import type { Node } from './words.ts'

/** A name, not a place: editors are pointed at the file. */
const schemaId = 'urn:atomixos:config:1'

/**
 * JSON Schema (draft 2020-12) of `config.toml`, for editors. It is never narrower than validation: what it refuses,
 * validation refuses. What takes more than one key, or the inside of a text, only validation finds.
 */
export function jsonSchema(): Readonly<Record<string, unknown>> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: schemaId,
    title: 'AtomixOS config.toml',
    ...schemaOf(operatorSchema),
    $defs: {
      scalar: {
        anyOf: [{ type: 'string', pattern: directiveLine }, { type: 'number' }, { type: 'boolean' }],
      },
      directive: { anyOf: [scalar, { type: 'array', items: scalar }] },
      once: { anyOf: [scalar, { type: 'array', items: scalar, minItems: 1, maxItems: 1 }] },
    },
  }
}

const scalar = { $ref: '#/$defs/scalar' }
/** One line. */
const directiveLine = '^[^\\u0000\\r\\n]*$'

function schemaOf(node: Node): Record<string, unknown> {
  const about = {
    description: node.about,
    ...(node.preset !== undefined && { default: node.preset }),
    ...(node.example !== undefined && node.kind !== 'names' && { examples: [node.example] }),
  }
  switch (node.kind) {
    case 'table':
      return {
        type: 'object',
        ...about,
        properties: Object.fromEntries(
          Object.entries(node.keys).map(([key, value]) => [key, schemaOf(value)]),
        ),
        required: node.required,
        additionalProperties: false,
      }
    case 'names':
      return {
        type: 'object',
        ...about,
        patternProperties: { [node.pattern]: schemaOf(node.value) },
        additionalProperties: false,
        ...(node.namesMin > 0 && { minProperties: node.namesMin }),
      }
    case 'list':
      return {
        type: 'array',
        ...about,
        items: schemaOf(node.item),
        ...(node.itemsMin > 0 && { minItems: node.itemsMin }),
        maxItems: node.itemsMax,
      }
    case 'directive':
      return { ...about, $ref: node.once ? '#/$defs/once' : '#/$defs/directive' }
    case 'text':
      return { type: 'string', ...about, ...(node.pattern !== undefined && { pattern: node.pattern }) }
    case 'choice':
      return { ...about, enum: node.values }
    case 'wholeNumber':
      return { type: 'integer', ...about, minimum: node.min, maximum: node.max }
    case 'flag':
      return { type: 'boolean', ...about }
  }
}
