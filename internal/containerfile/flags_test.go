package containerfile

import (
	"strings"
	"testing"
)

// Flags with default values are dropped, anywhere in a command, and nothing else is.
func TestIgnoredFlagsAreDropped(t *testing.T) {
	for before, after := range map[string]string{
		"COPY --link a b /":                                            "COPY a b /",
		"copy --link=true --chmod=644 a /":                             "copy --chmod=644 a /",
		"ADD --chown=1 --link=false a /":                               "ADD --chown=1 a /",
		"COPY \\\n  # why\n  --link \\\n  a /":                         "COPY \\\n  # why\n  \\\n  a /",
		"COPY --link\\\n  a /":                                         "COPY \\\n  a /",
		"COPY --from=x --link [\"--link\", \"/\"]":                     "COPY --from=x [\"--link\", \"/\"]",
		"COPY a --link /":                                              "COPY a --link /",
		"COPY --linked /":                                              "",
		"RUN --security=sandbox --network=default x --network=default": "RUN x --network=default",
		"RUN --network=none --mount=type=cache,target=/c x":            "RUN --network=none --mount=type=cache,target=/c x",
		"RUN x --security=sandbox":                                     "RUN x --security=sandbox",
		"ONBUILD COPY --link a /":                                      "ONBUILD COPY a /",
		"ONBUILD  \\\n  ADD --link a /":                                "ONBUILD  \\\n  ADD a /",
		"COPY --link <<EOF /f\nCOPY --link a /\nEOF":                   "COPY <<EOF /f\nCOPY --link a /\nEOF",
		"RUN <<EOF\nbuild --security=sandbox\nEOF":                     "RUN <<EOF\nbuild --security=sandbox\nEOF",
		"ENV A=--link":                                                 "ENV A=--link",
	} {
		f, err := Parse("F", []byte("FROM scratch\n"+before+"\n"))
		if err != nil {
			if after != "" {
				t.Errorf("%q: %v", before, err)
			}
			continue
		}
		p, err := f.plan(Use{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.rewrite(p, "podman", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSuffix(strings.TrimPrefix(string(got), "FROM scratch\n"), "\n"); got != after {
			t.Errorf("%q: got %q, want %q", before, got, after)
		}
	}
	f, err := Parse("F", []byte("# escape=`\nFROM scratch\nCOPY --chown=1 `\n  --link `\n  a /\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.plan(Use{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.rewrite(p, "buildah", nil); err != nil || !strings.HasSuffix(string(got), "\nCOPY --chown=1 `\n  `\n  a /\n") {
		t.Errorf("%q, %v", got, err)
	}
}
