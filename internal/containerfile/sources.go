package containerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// Sources lists what a build copies from its context: paths as written, which may have
// variables and wildcards.
func (f *File) Sources(u Use) ([]string, error) {
	p, err := f.plan(u)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, at := range p.used {
		for _, command := range f.stages[at].Commands {
			switch c := command.(type) {
			case *instructions.CopyCommand:
				if c.From == "" {
					all = append(all, c.SourcePaths...)
				}
			case *instructions.AddCommand:
				for _, source := range c.SourcePaths {
					if !strings.Contains(source, "://") {
						all = append(all, source)
					}
				}
			}
		}
	}
	return all, nil
}

// IsAutomatic reports whether builders set an argument themselves.
func IsAutomatic(arg string) bool {
	_, is := autoArgs(machinePlatform(), "")[arg]
	return is
}
