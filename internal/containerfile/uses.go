package containerfile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/libresh/libre/internal/lazyregexp"
)

// The functions of this file report whether an instruction uses a feature of the table.
// Variables are not expanded: a flag with a variable counts as supported.

func network(mode string) func(instructions.Command) bool {
	return func(c instructions.Command) bool {
		run, ok := c.(*instructions.RunCommand)
		return ok && instructions.GetNetwork(run) == mode
	}
}

func insecure(c instructions.Command) bool {
	run, ok := c.(*instructions.RunCommand)
	return ok && instructions.GetSecurity(run) == instructions.SecurityInsecure
}

func device(c instructions.Command) bool {
	run, ok := c.(*instructions.RunCommand)
	return ok && slices.ContainsFunc(run.FlagsUsed, func(flag string) bool { return flag == "device" })
}

func secretInVariable(c instructions.Command) bool {
	run, ok := c.(*instructions.RunCommand)
	return ok && slices.ContainsFunc(mounts(run), func(m *instructions.Mount) bool {
		return m.Type == instructions.MountTypeSecret && m.Env != nil
	})
}

func parents(c instructions.Command) bool {
	cp, ok := c.(*instructions.CopyCommand)
	return ok && cp.Parents
}

func excludes(c instructions.Command) bool {
	switch c := c.(type) {
	case *instructions.CopyCommand:
		return len(c.ExcludePatterns) > 0
	case *instructions.AddCommand:
		return len(c.ExcludePatterns) > 0
	}
	return false
}

func links(c instructions.Command) bool {
	switch c := c.(type) {
	case *instructions.CopyCommand:
		return c.Link
	case *instructions.AddCommand:
		return c.Link
	}
	return false
}

var octal = lazyregexp.New(`^[0-7]*$`)

func chmodByLetters(c instructions.Command) bool {
	mode := ""
	switch c := c.(type) {
	case *instructions.CopyCommand:
		mode = c.Chmod
	case *instructions.AddCommand:
		mode = c.Chmod
	}
	return !octal().MatchString(mode) && !strings.Contains(mode, "$")
}

func checksum(c instructions.Command) bool {
	add, ok := c.(*instructions.AddCommand)
	return ok && add.Checksum != ""
}

var gitSource = lazyregexp.New(`^(git@|git://|ssh://|https?://.*\.git(#.*)?$)`)

func addsGit(c instructions.Command) bool {
	add, ok := c.(*instructions.AddCommand)
	return ok && slices.ContainsFunc(add.SourcePaths, gitSource().MatchString)
}

func keepsGitDir(c instructions.Command) bool {
	add, ok := c.(*instructions.AddCommand)
	return ok && add.KeepGitDir != nil && *add.KeepGitDir
}

func unpacks(c instructions.Command) bool {
	add, ok := c.(*instructions.AddCommand)
	return ok && add.Unpack != nil
}

func startInterval(c instructions.Command) bool {
	check, ok := c.(*instructions.HealthCheckCommand)
	return ok && check.Health.StartInterval != 0
}

var (
	trimmed   = lazyregexp.New(`\$\{\w+[#%/]`)
	colonless = lazyregexp.New(`\$\{\w+[-+?]`)
)

// variables reports whether a word that engines expand has a variable of a form.
func variables(form *regexp.Regexp) func(instructions.Command) bool {
	return func(c instructions.Command) (found bool) {
		look := func(word string) (string, error) {
			found = found || form.MatchString(word)
			return word, nil
		}
		switch c := c.(type) {
		case *instructions.RunCommand: // its shell expands variables
		case instructions.SupportsSingleWordExpansion:
			_ = c.Expand(look)
		case *instructions.ExposeCommand:
			for _, port := range c.Ports {
				_, _ = look(port)
			}
		}
		return found
	}
}

// mounts returns the mounts of a step, with variables unexpanded.
func mounts(run *instructions.RunCommand) []*instructions.Mount {
	_ = run.Expand(func(word string) (string, error) { return word, nil })
	return instructions.GetMounts(run)
}
