package containerfile

import (
	"errors"
	"strings"
	"testing"
)

// A missing source is reported with its line, and with a suggestion or the rule that
// ignores it, but without paths of the engine.
func TestMissingSourceIsExplained(t *testing.T) {
	dist := catalogueLayout(t, "base", busyboxIndex(t))
	withEngines(t, func(t *testing.T, e Engine) {
		b := NewBuilder(e, newStorage(t, e))
		t.Run("builds", func(t *testing.T) {
			for step, want := range map[string]string{
				"COPY nothing /":                                               "8: COPY: nothing in the build context matches nothing; it has .dockerignore, Dockerfile, sub",
				"COPY --chmod=644 \\\n  sub/f.tx /":                            "8: COPY: nothing in the build context matches sub/f.tx; did you mean sub/f.txt?",
				"ARG A=SUB\nCOPY $A/f.txt /":                                   "9: COPY: nothing in the build context matches SUB%; did you mean sub?",
				"ADD sub/ignored /":                                            "8: ADD: .dockerignore:2 excludes sub/ignored from the build context",
				"ADD sub/deep/file /":                                          "8: ADD: .dockerignore:3 excludes sub/deep/file from the build context",
				"COPY [\"no thing\", \"/\"]":                                   "8: COPY: nothing in the build context matches no thing; it has .dockerignore, Dockerfile, sub",
				"COPY --from=extra gone/f /":                                   "8: COPY: nothing in the named context extra matches gone/f; it has n.txt",
				"COPY --from=one /etc/pass /":                                  "8: COPY: nothing in one matches /etc/pass",
				"COPY --from=images.example/tools /nope /":                     "8: COPY: nothing in images.example/tools matches /nope",
				"ENV A=b\nRUN --mount=from=one,source=/a,target=/c \\\n  true": "9: RUN --mount: nothing in one matches /a",
			} {
				t.Run(step, func(t *testing.T) {
					t.Parallel()
					stages := "FROM base AS one\n\n\n\n\n\nFROM base\n"
					if strings.Contains(step, "nothing") { // steps of triggers come first
						stages = "FROM base AS one\nONBUILD ENV A=b\nONBUILD ENV B=c\n\n\n\nFROM one\n"
					}
					req := request(t, write(t, map[string]string{
						"Dockerfile":    stages + step + "\n",
						".dockerignore": "# none\nsub/ignored\n**/deep\n!sub/kept\n",
						"sub/f.txt":     "", "sub/ignored": "", "sub/deep/file": "",
					}), map[string]Origin{"base": {Layout: dist}, "images.example/tools": {Layout: dist}})
					req.Contexts = map[string]string{"extra": write(t, map[string]string{"n.txt": ""})}
					_, err := b.Build(t.Context(), req)
					var failed *Error
					if !errors.As(err, &failed) || !like(err.Error(), "build Dockerfile:"+want) {
						t.Errorf("got  %v\nwant build Dockerfile:%s", err, want)
					}
				})
			}
		})
	})
}

func TestIgnoredBy(t *testing.T) {
	const rules = "# a comment\n*.md\n!README.md\n**/node_modules\n/docs/**\nsrc/*/x?\n!docs/keep\n"
	for name, want := range map[string]int{
		"a.md": 2, "README.md": 0, "sub/a.md": 0, "node_modules": 4, "web/node_modules/left/index.js": 4, "docs/a/b": 5, "docs": 0, "docs/keep": 0,
		"src/a/xy": 6, "src/a/b/xy": 0, "src/a/x": 0, "comment": 0,
	} {
		if got := ignoredBy(rules, name); got != want {
			t.Errorf("%s: line %d, want %d", name, got, want)
		}
	}
}
