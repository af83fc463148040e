/** Variables that tell the reporter of stories, in Vitest's process, where its result goes and where machines have their logs. */
export const reportVariable = 'ATOMIXOS_STORY_REPORT'
export const workDirVariable = 'ATOMIXOS_STORY_DIR'
