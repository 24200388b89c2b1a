/** Server-sent events, read from the text of a response. */
export interface ServerEvent {
  readonly event: string
  readonly data: string
  readonly id?: string
}

export async function* eventsIn(text: AsyncIterable<string>): AsyncGenerator<ServerEvent> {
  let rest = ''
  for await (const more of text) {
    const blocks = (rest + more).split(/\r?\n\r?\n/)
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const lines = block.split(/\r?\n/)
      const valuesOf = (field: string): string[] =>
        lines.filter((line) => line.startsWith(`${field}:`)).map((line) => line.slice(field.length + 1).trimStart())
      const data = valuesOf('data').join('\n')
      if (data) yield { event: valuesOf('event')[0] ?? 'message', data, id: valuesOf('id')[0] }
    }
  }
}
