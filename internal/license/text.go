package license

import "github.com/libresh/libre/internal/lazyregexp"

var (
	textName = lazyregexp.New(`(?i)^(?:licen[cs]es?|unlicen[cs]e|copying|copyright|notice)(?:[-_.][\w.+-]+)?$`)
	codeName = lazyregexp.New(`(?i)\.(?:c|cfg|css|erb|go|h|html?|ini|java|js|json|jsx|mjs|php|png|pot?|py|rb|rs|sh|sql|svg|toml|tsx?|vue|xml|ya?ml)$`)
)

// MaxText is the size in bytes up to which a file counts as the text of a license.
const MaxText = 1 << 20

// IsText reports whether a file of this name, without its folder, has the text of a license.
func IsText(name string) bool { return textName().MatchString(name) && !codeName().MatchString(name) }
