package containerfile

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/libresh/libre/internal/lazyregexp"
)

// ignoredFlags matches flags that repeat the default, or only speed up builds. Some
// engines do not know them, so libre drops them.
//
// --link makes a layer independent of those below, which only helps a build cache.
// buildah and podman build without one.
var ignoredFlags = map[string]func() *regexp.Regexp{
	"buildah":  lazyregexp.New(`^--(link(=\w+)?|security=sandbox|network=default)$`),
	"podman":   lazyregexp.New(`^--(link(=\w+)?|security=sandbox|network=default)$`),
	"docker":   lazyregexp.New(`^--security=sandbox$`),
	"buildkit": lazyregexp.New(`^--security=sandbox$`),
}

// dropIgnoredFlags drops these flags from the commands of stages, on any of their lines.
func (f *File) dropIgnoredFlags(lines []string, stages []stage, flag *regexp.Regexp) {
	for _, s := range stages {
		for _, c := range s.Commands {
			switch c.(type) {
			case *instructions.CopyCommand, *instructions.AddCommand, *instructions.RunCommand, *instructions.OnbuildCommand:
				f.dropFlags(lines[firstLine(c.Location())-1:min(lastLine(c.Location()), len(lines))], flag)
			}
		}
	}
}

// dropFlags drops matching flags from one command.
func (f *File) dropFlags(lines []string, flag *regexp.Regexp) {
	names := 1 // instruction names before the flags: two with ONBUILD
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		kept, rest := "", line
		for {
			blank := len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace))
			kept, rest = kept+rest[:blank], rest[blank:]
			end := strings.IndexFunc(rest, unicode.IsSpace)
			if end < 0 {
				end = len(rest)
			}
			word := strings.TrimSuffix(rest[:end], string(f.escape))
			switch {
			case word == "":
			case names > 0:
				if names--; strings.EqualFold(word, "ONBUILD") {
					names++
				}
			case !strings.HasPrefix(word, "--"):
				lines[i] = kept + rest
				return
			case flag.MatchString(word):
				rest = strings.TrimLeftFunc(rest[len(word):], unicode.IsSpace)
				continue
			}
			if end == 0 {
				break
			}
			kept, rest = kept+rest[:end], rest[end:]
		}
		lines[i] = kept
	}
}
