package containerfile

import (
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const docs = `# syntax=docker/dockerfile:1
# escape=\
ARG PYTHON=3.13
ARG VARIANT
FROM python:${PYTHON}-alpine AS base
RUN apk upgrade

FROM --platform=$BUILDPLATFORM node:22 AS Front
WORKDIR /app
COPY package.json \
  yarn.lock ./
RUN yarn install

from unused.example/x:${VARIANT} as unused
COPY --from=other.example/unused:1 / /

FROM base AS backend
COPY --from=front /app /app
COPY --from=ghcr.io/astral/uv:0.8 /uv /bin/
COPY --from=assets . /assets
RUN --mount=type=bind,from=tool.example/t@sha256:` + hex + `,target=/t \
    --mount=type=cache,target=/c /t/run
FROM scratch
COPY --from=0 / /
ARG VERSION=1
`

const hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestBases(t *testing.T) {
	host := "linux/" + runtime.GOARCH
	for _, tt := range []struct {
		name string
		file string
		use  Use
		want []Base
		err  string
	}{
		{
			name: "target", file: docs,
			use: Use{Target: "backend", Platform: "linux/s390x", Contexts: []string{"assets"}},
			want: []Base{
				{"python:3.13-alpine", "linux/s390x", 5},
				{"node:22", host, 8},
				{"ghcr.io/astral/uv:0.8", "linux/s390x", 19},
				{"tool.example/t@sha256:" + hex, "linux/s390x", 21},
			},
		},
		{name: "target in another case", file: docs, use: Use{Target: "BASE"}, want: []Base{{"python:3.13-alpine", host, 5}}},
		{name: "last stage by index", file: docs, want: []Base{{"python:3.13-alpine", host, 5}}},
		{name: "argument given", file: docs, use: Use{Args: map[string]string{"PYTHON": "3.14"}}, want: []Base{{"python:3.14-alpine", host, 5}}},
		{name: "no such target", file: docs, use: Use{Target: "prod"}, err: `F: unknown target "prod": the file has base, Front, unused, backend`},
		{name: "no names", file: "FROM scratch", use: Use{Target: "prod"}, err: `F: unknown target "prod": no stage has a name`},
		{name: "argument without value", file: docs, use: Use{Target: "unused"}, err: "F:14: FROM unused.example/x:${VARIANT}: argument VARIANT has no value"},
		{name: "empty argument is a value", file: docs, use: Use{Target: "unused", Args: map[string]string{"VARIANT": ""}},
			err: "F:14: FROM unused.example/x:${VARIANT}: \"unused.example/x:\" is not an image name: argument VARIANT is empty"},
		{name: "argument not declared", file: "FROM a:$X", use: Use{Args: map[string]string{"X": "1"}}, err: "F:1: FROM a:$X: argument X is not declared before the first FROM"},
		{name: "declared too late", file: "FROM a:$X\nARG X=1", err: "F:1: FROM a:$X: argument X is not declared before the first FROM"},
		{name: "default in place", file: "FROM a:${X:-2}", want: []Base{{"a:2", host, 1}}},
		{name: "alternative in place", file: "ARG X\nFROM a${X:+-debian}:1", want: []Base{{"a:1", host, 2}}},
		{name: "only the argument", file: "ARG B=\nFROM $B", err: "F:2: FROM $B: the image name is empty: argument B is empty"},
		{name: "an empty argument that a build gives", file: "ARG B=x\n\nFROM ${B}", use: Use{Args: map[string]string{"B": ""}}, err: "F:3: FROM ${B}: the image name is empty: argument B is empty"},
		{name: "two empty arguments", file: "ARG A=\nARG B=\nFROM ${B:-}$A", err: "F:3: FROM ${B:-}$A: the image name is empty: argument A and B is empty"},
		{name: "an empty tag", file: "ARG TAG=\nARG IMAGE=node\nFROM ${IMAGE}:${TAG}", err: "F:3: FROM ${IMAGE}:${TAG}: \"node:\" is not an image name: argument TAG is empty"},
		{name: "an empty registry", file: "ARG REGISTRY=\nFROM $REGISTRY/node:24", err: "F:2: FROM $REGISTRY/node:24: \"/node:24\" is not an image name: argument REGISTRY is empty"},
		{name: "an empty argument that does no harm", file: "ARG SUFFIX=\nFROM node:24$SUFFIX AS Build\nFROM Build$SUFFIX", want: []Base{{"node:24", host, 2}}},
		{name: "bad substitution", file: "FROM ${:B}", err: "F:1: FROM ${:B}: failed to process \"${:B}\": syntax error: bad substitution"},
		{name: "automatic", file: "FROM --platform=$TARGETPLATFORM a:$TARGETARCH$TARGETVARIANT", use: Use{Platform: "linux/arm/v7"},
			want: []Base{{"a:armv7", "linux/arm/v7", 1}}},
		{name: "two platforms of one name", file: "FROM --platform=linux/amd64 a AS b\nFROM a\nCOPY --from=b / /", use: Use{Platform: "linux/arm64"},
			want: []Base{{"a", "linux/amd64", 1}, {"a", "linux/arm64", 2}}},
		{name: "platform of one word", file: "FROM --platform=arm64 a", err: "F:1: FROM --platform=arm64: expected OS/ARCH"},
		{name: "context by its full name", file: "FROM alpine", use: Use{Contexts: []string{"docker.io/library/alpine:latest"}}, want: nil},
		{name: "image called like a later stage", file: "FROM a AS a\nFROM b AS c", use: Use{Target: "a"}, want: []Base{{"a", host, 1}}},
		{name: "later stage", file: "FROM a\nCOPY --from=late / /\nFROM b AS late", use: Use{}, want: []Base{{"b", host, 3}}},
		{name: "reading a later stage", file: "FROM a AS x\nCOPY --from=late / /\nFROM b AS late\nFROM x", err: "F:2: COPY from=late: that stage is defined later, at line 3"},
		{name: "number out of range", file: "FROM a\nCOPY --from=1 / /", err: "F:2: COPY from=1: no earlier stage has this number"},
		{name: "copy from an argument", file: "FROM a\nCOPY --from=$X / /", err: `F:2: COPY from=$X: arguments are not expanded here: name a stage with "FROM $X AS …"`},
		{name: "windows", file: "\xef\xbb\xbfFROM a \\\r\n  AS b\r\nFROM b\r\nRUN x\r\n", want: []Base{{"a", host, 1}}},
		{name: "backtick", file: "# escape=`\nFROM a `\n  AS b\nCOPY --from=c:1 x `\n y", want: []Base{{"a", host, 2}, {"c:1", host, 4}}},
		{name: "here-document", file: "FROM a\nRUN <<EOF\nFROM b\nEOF\nCOPY --from=c <<X <<Y /\nX\nY\n", want: []Base{{"a", host, 1}, {"c", host, 5}}},
		{name: "comment between lines", file: "FROM a\nRUN x \\\n# FROM b\n && y\nCOPY --from=c / /", want: []Base{{"a", host, 1}, {"c", host, 5}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("F", []byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Bases(tt.use)
			if errorText(err) != tt.err {
				t.Fatalf("error %q, want %q", errorText(err), tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParseErrors(t *testing.T) {
	for file, want := range map[string]string{
		"":                       "F: the file is empty",
		"\xef\xbb\xbf \r\n":      "F: the file is empty",
		"# nothing\n":            "F:1: file with no instructions",
		"ARG X=1\n":              "F: no FROM line",
		"FROM a\nFRM b\n":        "F:2: unknown instruction: FRM (did you mean FROM?)",
		"RUN x\nFROM a\n":        "F:1: no build stage in current context",
		"FROM a b c d\n":         "F:1: FROM requires either one or three arguments",
		"FROM a\nCOPY x\n":       "F:2: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
		"FROM a\nRUN <<EOF\nx\n": "F:2: unterminated heredoc",
	} {
		_, err := Parse("F", []byte(file))
		if err == nil {
			f, _ := Parse("F", []byte(file))
			_, err = f.Bases(Use{})
		}
		if errorText(err) != want {
			t.Errorf("%q:\n got %s\nwant %s", file, errorText(err), want)
		}
	}
}

func TestArgsAndTargets(t *testing.T) {
	f, err := Parse("F", []byte(docs))
	if err != nil {
		t.Fatal(err)
	}
	value := func(s string) *string { return &s }
	want := []Arg{
		{Name: "PYTHON", Default: value("3.13"), Line: 3, Global: true},
		{Name: "VARIANT", Line: 4, Global: true},
		{Name: "VERSION", Default: value("1"), Line: 25},
	}
	if diff := cmp.Diff(want, f.Args()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"base", "Front", "unused", "backend"}, f.Targets()); diff != "" {
		t.Error(diff)
	}
}

func TestRewrite(t *testing.T) {
	f, err := Parse("F", []byte(docs))
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.plan(Use{Target: "backend", Platform: "linux/s390x", Contexts: []string{"assets"}})
	if err != nil {
		t.Fatal(err)
	}
	rewritten, err := f.rewrite(p, "buildah", func(b Base) fetched { return fetched{from: "<" + b.Name + " for " + b.Platform + ">"} })
	if err != nil {
		t.Fatal(err)
	}
	got := string(rewritten)
	host := "linux/" + runtime.GOARCH
	want := strings.NewReplacer(
		"# syntax=docker/dockerfile:1\n# escape=\\\n", "# escape=\\\n#\n",
		"FROM python:${PYTHON}-alpine AS base", "FROM <python:3.13-alpine for linux/s390x> AS base",
		"FROM --platform=$BUILDPLATFORM node:22 AS Front", "FROM --platform="+host+" <node:22 for "+host+"> AS Front",
		"from unused.example/x:${VARIANT} as unused\nCOPY --from=other.example/unused:1 / /\n", "FROM scratch AS unused\n\n",
		"--from=front", "--from=Front",
	).Replace(docs)
	want = want[:strings.Index(want, "FROM scratch\n")]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Parsing any file ends. The rewritten file needs the same bases at the same lines.
func FuzzBases(f *testing.F) {
	f.Add([]byte(docs), "backend")
	f.Add([]byte("\xef\xbb\xbf# escape=`\r\nFROM a`\r\n as b\r\nRUN <<E\nE\nADD --checksum=x y z"), "")
	f.Add([]byte("FROM a\nONBUILD COPY --from=b <<X /\nX\nHEALTHCHECK NONE\nSHELL [\"a\"]"), "1")
	f.Add([]byte("#!/x\n# check=skip=all\nFROM ${A:-${B:-c}}/${D##*/}"), "")
	f.Fuzz(func(t *testing.T, data []byte, target string) {
		file, err := Parse("F", data)
		if err != nil {
			return
		}
		file.Args()
		use := Use{Target: target, Contexts: []string{"ctx"}}
		bases, err := file.Bases(use)
		if err != nil {
			return
		}
		p, err := file.plan(use)
		if err != nil {
			t.Fatal(err)
		}
		rewritten, err := file.rewrite(p, "buildah", func(b Base) fetched { return fetched{from: "x.example/" + hex} })
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("F", rewritten)
		if err != nil {
			t.Fatalf("rewritten: %v", err)
		}
		p2, err := again.plan(Use{Contexts: []string{"ctx"}})
		if err != nil {
			t.Fatalf("rewritten: %v", err)
		}
		if len(bases) > 0 && len(p2.bases) == 0 || p2.steps != p.steps {
			t.Fatalf("rewritten: %d bases and %d steps, want %d and %d", len(p2.bases), p2.steps, len(bases), p.steps)
		}
	})
}
