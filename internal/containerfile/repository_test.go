package containerfile

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// Steps that need a .git are reported if the source has none.
func TestUseOfMissingRepositoryIsReported(t *testing.T) {
	const fix = ": set source.describe = true (sources of kind github, and git with a tag); or replace the command with substituteSource"
	one := func(line string) string { return "FROM scratch\nCOPY . /src\n" + line + "\n" }
	for _, test := range []struct {
		name  string
		files map[string]string
		image catalog.ContainerfileImage
		want  []string
	}{
		{name: "git describe", files: map[string]string{"Dockerfile": one("RUN go build -ldflags \"-X main.version=$(git describe --tags --always --dirty)\"")},
			want: []string{"Dockerfile:3: git describe needs .git, which source archives lack" + fix}},
		{name: "in a line of a longer step", files: map[string]string{"Dockerfile": one("RUN set -e; \\\n  apk add git && \\\n  # git log\n  git  -c safe.directory=* rev-parse HEAD > /commit")},
			want: []string{"Dockerfile:6: git -c safe.directory=* rev-parse needs .git, which source archives lack" + fix}},
		{name: "a here-document", files: map[string]string{"Dockerfile": one("RUN <<EOF\nset -e\ngit --no-pager log -1\nEOF")}, want: []string{"Dockerfile:5: git --no-pager log needs .git"}},
		{name: "the folder itself", files: map[string]string{"Dockerfile": one("COPY .git ./.git\nADD ./.git/HEAD /HEAD\nRUN --mount=type=bind,source=.git,target=.git --mount=type=cache,target=/c true")},
			want: []string{"Dockerfile:3: COPY .git needs .git", "Dockerfile:4: ADD ./.git/HEAD needs .git", "Dockerfile:5: --mount of .git needs .git"}},
		{name: "make", files: map[string]string{"Dockerfile": one("RUN make -j2 app"), "Makefile": "# git describe\nVERSION := $(shell git describe --tags)\nrelease:\n\tgit tag v1\n"},
			want: []string{"Makefile:2: git describe, run by Dockerfile:3, needs .git, which source archives lack" + fix}},
		{name: "make in a longer step, twice", files: map[string]string{"Dockerfile": one("RUN apk add \\\n  make git\nRUN --mount=type=cache,target=/c set -e; CGO_ENABLED=0 make app && make install\nRUN [\"make\", \"test\"]"), "GNUmakefile": "V ?= $(shell git rev-parse --short HEAD)\n"},
			want: []string{"GNUmakefile:1: git rev-parse, run by Dockerfile:5, needs .git"}},
		{name: "a script", files: map[string]string{"Dockerfile": one("RUN ./hack/build && sh scripts/x.sh"), "hack/build": "#!/bin/sh\nv=$(git describe)\n", "scripts/x.sh": "set -e\n\ngit status --porcelain\n"},
			want: []string{"hack/build:2: git describe, run by Dockerfile:3, needs .git", "scripts/x.sh:3: git status, run by Dockerfile:3, needs .git"}},
		{name: "a context below the source's top", files: map[string]string{"web/Dockerfile": one("RUN make"), "web/Makefile": "V = $(shell git describe)\n"}, image: catalog.ContainerfileImage{Context: "web", File: "web/Dockerfile"},
			want: []string{"web/Makefile:1: git describe, run by web/Dockerfile:3, needs .git, which source archives lack: the context is web, but .git is only at the top of the source: pass the version as a build argument; or replace"}},
		{name: "a stage that is not built", files: map[string]string{"Dockerfile": "FROM scratch AS dev\nRUN git status\nFROM scratch\n"}},
		{name: "a repository of its own", files: map[string]string{"Dockerfile": one("RUN git clone https://example.org/x /x && cd /x && git describe\nRUN cd /x && git log")}},
		{name: "another's repository", files: map[string]string{"Dockerfile": one("ADD https://example.org/x.git /x\nRUN cd /x && git describe")}},
		{name: "a file of git's", files: map[string]string{"Dockerfile": one("ADD .gitignore .gitattributes /x\nRUN git describe")}, want: []string{"Dockerfile:4: git describe needs .git"}},
		{name: "what asks for none", files: map[string]string{"Dockerfile": one("RUN apk add git make && git config --global user.name x && git --version && cmake . && ./run && echo github describe\nCOPY .gitignore .github /\nCOPY --from=x .git /"), "run": "#!/bin/sh\necho git\n", "Makefile": "V = $(shell git describe)\n"}},
		{name: "recipes, of which some run", files: map[string]string{"Dockerfile": one("RUN make"), "Makefile": "app:\n\tgit describe\n"}},
		{name: "a source that has one", files: map[string]string{"Dockerfile": one("COPY .git /x\nRUN git describe"), ".git/HEAD": ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			image := test.image
			if image.File == "" {
				image.File = "Dockerfile"
			}
			spec := catalog.Spec{App: "one", Component: "web", System: "x86_64-linux", Content: &image}
			var got []string
			for _, defect := range Defects(&spec, write(t, test.files)) {
				if got = append(got, defect.Err.Error()); defect.Fatal || !defect.Warning {
					t.Errorf("%v is more than a warning", defect.Err)
				}
			}
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// An ignore file no longer ignores .git, and the line that did is returned.
func TestKeepRepository(t *testing.T) {
	for ignore, want := range map[string]int{
		"": 0, "node_modules\n": 0, ".git\n": 1, "a\n\n.git/": 3, "/.git": 1, "**/.git\n": 1, ".git/**": 1, "./.git\n.github": 1, ".*\n": 1, "*\n!src\n": 1, "**": 1,
		".git\n!.git\n": 0, "# .git\n": 0, ".gitignore\n.github/\n": 0, "!.git\n.g*\r\n": 2, "src/.git": 0,
	} {
		kept, line := keepRepository([]byte(ignore))
		if line != want || !strings.HasPrefix(string(kept), strings.TrimRight(ignore, "\n")) || !strings.HasSuffix(string(kept), "\n!.git\n!.git/**\n") {
			t.Errorf("%q: line %d, want %d: %q", ignore, line, want, kept)
		}
	}
}

// .git reaches the context, whatever the ignore files say.
func TestIgnoredRepository(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		b := NewBuilder(e, newStorage(t, e))
		ignores := map[string]string{".dockerignore": "*\n!page\n", "Dockerfile.dockerignore": "# all\n**/.git\nother\n"}
		if e.Name == "podman" {
			ignores = map[string]string{".containerignore": ".git/**\nother"}
		}
		for name, ignore := range ignores {
			r := request(t, write(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY . /\n", name: ignore, "page": "1", "other": "2", ".git/HEAD": "3", ".git/refs/tags/v1": "4"}), nil)
			var warned []string
			r.Warn = func(warning string) { warned = append(warned, warning) }
			result, err := b.Build(context.Background(), r)
			if err != nil {
				t.Fatal(describe(err))
			}
			img, _ := built(t, result)
			files := filesOf(t, img)
			if files["/.git/HEAD"].content != "3" || files["/.git/refs/tags/v1"].content != "4" || files["/page"].content != "1" || files["/other"].content != "" {
				t.Errorf("%s: the image has %v", name, files)
			}
			line := ":1"
			if ignore[0] == '#' {
				line = ":2"
			}
			want := name + line + " ignores .git: it stays in the build context, because source.describe is set"
			if !slices.Contains(warned, want) {
				t.Errorf("libre says %q, want %q", warned, want)
			}
		}
	})
}
