package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A block is a fenced block of a page. Its info string has a language and a kind, such as
// "nix app" or "yaml vex", or a requirement, such as "sh needs cosign".
type block struct {
	page            string
	line            int // line of the opening fence, from 1
	language        string
	is, needs, text string
}

func (b block) place() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// needs lists the requirements that the test of all pages cannot meet.
var needs = map[string]string{
	"builder":          "a second machine: internal/acceptance/build has one",
	"checkout":         "a checkout of libre, to build it",
	"cosign":           "cosign, which make interop compiles",
	"debian":           "to install packages on Debian",
	"docker.io":        "an image of Docker Hub",
	"forge":            "a forge, or a network for nixpkgs",
	"registry.example": "a registry that others publish to",
}

// first lists the pages that a newcomer reads, in this order. The others follow.
var first = []string{"README.md", "docs/tutorial.md", "docs/recipes.md", "docs/apps.md", "docs/publishing.md", "docs/contents.md", "docs/bump.md", "docs/settings.md", "docs/package-sets.md"}

// blocks returns the fenced blocks of all pages, in reading order. It fails the test for a
// block that no test would run.
func blocks(t *testing.T) (all []block) {
	t.Helper()
	const root = "../../../"
	pages := slices.Clone(first)
	for _, pattern := range []string{"*.md", "docs/*.md", "nix/template/*.md"} {
		found, err := filepath.Glob(root + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			if page := strings.TrimPrefix(path, root); !slices.Contains(pages, page) {
				pages = append(pages, page)
			}
		}
	}
	for _, page := range pages {
		text, err := os.ReadFile(root + page)
		if err != nil {
			t.Fatal(err)
		}
		found, problems := parse(page, string(text))
		for _, problem := range problems {
			t.Error(problem)
		}
		all = append(all, found...)
	}
	if len(all) < 20 {
		t.Errorf("only %d blocks were found", len(all))
	}
	return all
}

var infoString = regexp.MustCompile(`^(text|(sh|yaml)( needs ([a-z.]+))?|nix (app|flake)|yaml (vex))$`)

// parse finds the fenced blocks of a page, and reasons why a test cannot run them.
func parse(page, text string) (all []block, problems []string) {
	var open *block
	blank := true
	for i, line := range strings.Split(text, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open != nil:
			all, open = append(all, *open), nil
		case fence:
			open = &block{page: page, line: i + 1}
			words := infoString.FindStringSubmatch(info)
			if words == nil || words[4] != "" && needs[words[4]] == "" {
				problems = append(problems, fmt.Sprintf("%s: no test runs a block of %q", open.place(), info))
				continue
			}
			open.language, _, _ = strings.Cut(info, " ")
			open.needs, open.is = words[4], words[5]+words[6]
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			problems = append(problems, fmt.Sprintf("%s:%d: no test runs an indented fence: begin it with the line", page, i+1))
		case blank && strings.HasPrefix(line, "    "):
			problems = append(problems, fmt.Sprintf("%s:%d: no test runs an indented block: fence it", page, i+1))
		}
		blank = line == ""
	}
	return all, problems
}

func TestBlocksThatNoTestRunsAreFound(t *testing.T) {
	for _, test := range []struct{ name, text, problem string }{
		{"a language that is not run", "```python\nprint()\n```\n", `p.md:1: no test runs a block of "python"`},
		{"no language", "text\n\n```\nls\n```\n", `p.md:3: no test runs a block of ""`},
		{"a need that is not listed", "```sh needs luck\nls\n```\n", `p.md:1: no test runs a block of "sh needs luck"`},
		{"a definition of unknown kind", "```nix\n{ }\n```\n", `p.md:1: no test runs a block of "nix"`},
		{"indented", "text:\n\n    ls\n", "p.md:3: no test runs an indented block: fence it"},
		{"a fence in a list", "- so:\n\n  ```sh\n  ls\n  ```\n", "p.md:3: no test runs an indented fence: begin it with the line\np.md:5: no test runs an indented fence: begin it with the line"},
		{"marked", "```sh needs forge\nlibre bump --pr\n```\n", ""},
		{"a drawing", "```text\na ─▶ b\n```\n", ""},
		{"a list", "- a\n  - b\n    more of b\n", ""},
	} {
		_, problems := parse("p.md", test.text)
		if got := strings.Join(problems, "\n"); got != test.problem {
			t.Errorf("%s: %q, want %q", test.name, got, test.problem)
		}
	}
}
