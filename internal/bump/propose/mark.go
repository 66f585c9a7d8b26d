package propose

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// An invisible line in a pull request's body stores the proposal: the apps with their versions.
// No other text in a body can look like it, because HTML comments are removed from outside
// text.
var (
	markLine = lazyregexp.New(`(?m)^<!-- libre: ([0-9A-Za-z._, -]*) -->\r?$`)
	// closedMark follows the line if libre closed the pull request itself. Otherwise a person
	// closed it, and does not want the version.
	closedMark = "<!-- libre closed this -->"
)

// mark returns the line for some apps, by name.
func mark(apps map[string]string) string {
	var words []string
	for _, app := range slices.Sorted(maps.Keys(apps)) {
		words = append(words, app+" "+apps[app])
	}
	return fmt.Sprintf("<!-- libre: %s -->", strings.Join(words, ", "))
}

// readMark returns the apps with the versions that a pull request proposes, or none if it is
// not libre's.
func readMark(body string) map[string]string {
	lines := markLine().FindAllStringSubmatch(body, -1)
	if len(lines) == 0 {
		return nil
	}
	apps := map[string]string{}
	for words := range strings.SplitSeq(lines[len(lines)-1][1], ", ") {
		if app, version, found := strings.Cut(words, " "); found {
			apps[app] = version
		}
	}
	return apps
}

// marked returns a body with the mark below, cut to the size that forges accept.
func marked(body string, apps map[string]string) string {
	line := mark(apps)
	return cutBody(body, len(line)) + "\n\n" + line + "\n"
}

// cutBody cuts a body at the end of a line, so that forges accept it with a mark of so many
// bytes below it.
func cutBody(body string, mark int) string {
	if room := maxBody - mark - 2; len(body) > room {
		body = body[:max(0, strings.LastIndexByte(body[:max(room, 0)], '\n'))]
	}
	return strings.TrimRight(body, "\n")
}
