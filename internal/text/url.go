package text

import (
	"net/url"
	"strings"
)

// PublicURL is the address of a repository or a file that may be shown to everybody:
// without user, password, query and fragment. What is on this machine has none.
func PublicURL(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		if _, rest, found := strings.Cut(address, "@"); found && !strings.Contains(rest, "@") {
			return "ssh://" + strings.Replace(rest, ":", "/", 1) // user@host:path
		}
		return ""
	}
	parsed.User, parsed.RawQuery, parsed.Fragment = nil, "", ""
	return parsed.String()
}
