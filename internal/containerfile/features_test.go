package containerfile

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// All features that an engine's version lacks are reported at once, before a fetch, with
// lines and fixes.
func TestAllUnsupportedFeaturesAreReportedAtOnce(t *testing.T) {
	file := `FROM base.example/never AS unused
COPY --parents a /
FROM base.example/base AS one
ONBUILD COPY --exclude=x a /
RUN <<EOF
true
EOF
FROM one
COPY --link --chmod=644 a /
COPY --parents \
  --exclude=x a /
ADD --checksum=sha256:` + hex + ` https://a.example/b.git#main /b
ENV A=${B%.*} C=${D:-e}
RUN --network=none true ${A%.*}
RUN --network=host --security=insecure true
HEALTHCHECK --interval=3s --start-interval=1s CMD true
ONBUILD COPY --parents a /
`
	for version, want := range map[string][]string{
		"buildah 1.28.2": {"4 COPY --exclude", "5 here-documents", "10 COPY --parents", "10 COPY --exclude", "12 ADD --checksum", "12 ADD of a git", "13 variable expansion with #",
			"14 RUN --network=none", "15 RUN --network=host", "15 RUN --security", "16 HEALTHCHECK"},
		"buildah 1.33.7":      {"4 COPY --exclude", "10 COPY --parents", "10 COPY --exclude", "12 ADD of a git", "13 variable expansion with #", "15 RUN --network=host", "15 RUN --security", "16 HEALTHCHECK"},
		"buildah 1.39.3":      {"4 COPY --exclude", "10 COPY --parents", "10 COPY --exclude", "12 ADD of a git", "13 variable expansion with #", "15 RUN --network=host", "15 RUN --security", "16 HEALTHCHECK"},
		"buildah 1.40.0":      {"4 COPY --exclude", "10 COPY --exclude", "12 ADD of a git", "13 variable expansion with #", "15 RUN --network=host", "15 RUN --security", "16 HEALTHCHECK"},
		"podman 4.3.1":        {"4 COPY --exclude", "5 here-documents", "10 COPY --parents", "10 COPY --exclude", "12 ADD --checksum", "12 ADD of a git", "13 variable expansion with #", "14 RUN --network=none", "15 RUN --network=host", "15 RUN --security", "16 HEALTHCHECK"},
		"podman 5.4.2":        {"4 COPY --exclude", "10 COPY --parents", "10 COPY --exclude", "12 ADD of a git", "13 variable expansion with #", "15 RUN --network=host", "15 RUN --security", "16 HEALTHCHECK"},
		"docker 24.0.9":       {"4 COPY --exclude", "10 COPY --parents", "10 COPY --exclude", "12 ADD --checksum", "12 ADD of a git", "13 variable expansion with #", "15 RUN --network=host", "15 RUN --security", "16 HEALTHCHECK"},
		"docker 26.1.5+dfsg1": {"4 COPY --exclude", "10 COPY --parents", "10 COPY --exclude", "15 RUN --network=host", "15 RUN --security", "16 HEALTHCHECK"},
		"docker 29.1.0-rc.1":  {"15 RUN --network=host", "15 RUN --security", "16 HEALTHCHECK"},
	} {
		name, number, _ := strings.Cut(version, " ")
		j := &job{Request: Request{Source: write(t, map[string]string{"Containerfile": file})}, named: map[string]string{}}
		if err := j.read(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, err := range j.unsupported(Engine{Name: name, Version: number}) {
			line, problem, _ := strings.Cut(strings.TrimPrefix(err.Error(), "Containerfile:"), ": ")
			problem = strings.TrimPrefix(strings.TrimPrefix(problem, version+" does not support "), "libre does not allow ")
			for _, w := range want {
				if at, feature, _ := strings.Cut(w, " "); at == line && strings.HasPrefix(problem, feature) {
					problem = feature
				}
			}
			got = append(got, line+" "+problem)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", version, diff)
		}
	}
	e := Engine{Name: "podman", Version: "4.3.1"}
	if got, want := features[len(features)-1].problem(e), "podman 4.3.1 does not support variable expansion with -, + and ? without a colon: use docker 23.0 or newer; or write the colon, as in ${NAME:-word}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// docs/compatibility.md has the rows of the table of features.
func TestCompatibilityPageListsEveryFeature(t *testing.T) {
	page, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range features {
		row := "| " + f.name
		for _, engine := range tools {
			if first, ok := f.since[engine.name]; ok {
				row += fmt.Sprintf(" | %d.%d", first[0], first[1])
			} else {
				row += " | no"
			}
		}
		if row += " | "; !strings.Contains(string(page), "\n"+row) {
			t.Errorf("docs/compatibility.md has no row %s", row+strings.TrimPrefix(f.do, "or ")+" |")
		}
	}
}
