/** All words of English, as they are once an upload is shown. */

import words from '../../src/ui/i18n/en.uploads.json' with { type: 'json' }
import { learn } from '../../src/ui/i18n/index.js'

learn(words)
