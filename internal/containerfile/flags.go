package containerfile

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// ignoredFlags are flags that say what is so without them, or only make builds faster. Not
// every engine knows them, so none gets them.
//
// --link makes a layer that does not depend on those below it, which saves work where
// steps come from a cache. buildah and podman start each build without one.
var ignoredFlags = map[string]*regexp.Regexp{
	"buildah": regexp.MustCompile(`^--(link(=\w+)?|security=sandbox|network=default)$`),
	"podman":  regexp.MustCompile(`^--(link(=\w+)?|security=sandbox|network=default)$`),
	"docker":  regexp.MustCompile(`^--security=sandbox$`),
}

// dropIgnoredFlags takes such flags out of the commands of stages, on whichever lines they are.
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

// dropFlags takes flags that match out of one command.
func (f *File) dropFlags(lines []string, flag *regexp.Regexp) {
	names := 1 // of instructions before the flags: ONBUILD has two
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
