/** All words of English, as they are once an upload is shown. */

import inside from '../../src/ui/i18n/en.details.json' with { type: 'json' }
import words from '../../src/ui/i18n/en.uploads.json' with { type: 'json' }
import { learn } from '../../src/ui/i18n/index.js'

learn({ ...words, ...inside })
