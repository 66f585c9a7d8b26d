package git

import "github.com/libresh/libre/internal/lazyregexp"

// What git prints if it has no login, or if the login may not push.
const (
	noLogin = `could not read (Username|Password) for`
	noRight = noLogin + `|Authentication failed for|returned error: 40[13]`
)

var (
	hidden      = lazyregexp.New(noRight + `|repository '[^']*' not found|returned error: 404`)
	cannotLogIn = lazyregexp.New(noLogin + `|Load key .*: Permission denied|Permission denied \(publickey`)
	pushRefused = lazyregexp.New(noRight + `|Permission denied|Write access to repository not granted`)
)

// IsHidden reports whether git's output says that an HTTP server does not show a repository.
// Servers give the same answer for a private repository and for a missing one.
func IsHidden(output string) bool { return hidden().MatchString(output) }

// CannotLogIn reports whether the output of git or ssh says that there is no login or key, or
// that it cannot be read.
func CannotLogIn(output string) bool { return cannotLogIn().MatchString(output) }

// IsPushRefused reports whether git's output says that the login or the key has no right
// to push.
func IsPushRefused(output string) bool { return pushRefused().MatchString(output) }
