package nixedit

import "testing"

func TestRenamePin(t *testing.T) {
	v := value(t)
	const pins = "components.web.bases."
	for _, test := range []struct{ path, name, src, want string }{
		{pins + "node:24", "node:26", `{ bases = { ‸"node:24" = "x"; # as is` + "\n}; }", `{ bases = { "node:26" = "x"; # as is` + "\n}; }"},
		{pins + "node:24", "node:26", `{ ‸bases."node:24" = "x"; bases."node:2" = "y"; }`, `{ bases."node:26" = "x"; bases."node:2" = "y"; }`},
		{pins + "toolbox", "toolbox:2", `{ components.web.bases = { ‸toolbox = ref; }; }`, `{ components.web.bases = { "toolbox:2" = ref; }; }`},
		{pins + "a/b:1", "a/b:1", `{ bases = { ‸"a/b:1" = 1; }; }`, `{ bases = { "a/b:1" = 1; }; }`},
		{pins + "node:24", "node:26", `{ bases = { ‸"node:24" = "x"; "node:26" = "y"; }; }`, `1:13: components.web.bases.node:24 cannot be named "node:26", which exists already: remove one of them`},
		{pins + "node:24", "node:26", `{ ‸bases."node:24" = "x"; bases."node:26" = "y"; }`, `1:3: components.web.bases.node:24 cannot be named "node:26", which exists already: remove one of them`},
		{pins + "node:24", "${x}", `{ bases = { ‸"node:24" = "x"; }; }`, `1:13: components.web.bases.node:24 cannot be named "${x}": rename it by hand`},
		{pins + "node:24", "a\"; b = \"", `{ bases = { ‸"node:24" = "x"; }; }`, `1:13: components.web.bases.node:24 cannot be named "a\"; b = \"": rename it by hand`},
		{pins + "node", "node:26", `{ bases = { ‸inherit node; }; }`, `1:13: components.web.bases.node is inherited: rename it by hand`},
		{pins + "node:24", "node:26", `{ bases = { ‸${"node:24"} = "x"; }; }`, "1:13: components.web.bases.node:24 is written as ${\"node:24\"}: libre edits attributes under their own names only"},
	} {
		src, at := mark(t, test.src)
		place := Attribute{test.path, at}
		if got := applied(src, RenamePin{place, test.name}); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.src, got, test.want)
		}
		// Several pins may be written in one place, and may also get another digest.
		if got := applied(src, RenamePin{place, test.name}, RenamePin{place, test.name}); got != test.want {
			t.Errorf("twice: %s\n got %s\nwant %s", test.src, got, test.want)
		}
	}
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	src, at := mark(t, `{ bases = { ‸"node:24" = "sha256:x"; }; }`)
	place := Attribute{pins + "node:24", at}
	if got, want := applied(src, Set{place, v(Digest(digest))}, RenamePin{place, "node:26"}), `{ bases = { "node:26" = "`+digest+`"; }; }`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for text, valid := range map[string]bool{"tool/bin": true, "tool/bin/lyon": true, "tool": false, "tool/bin\"": false, "a/b/c/d": false, "${a}/b": false} {
		if _, err := Image(text); (err == nil) != valid {
			t.Errorf("image %s: %v", text, err)
		}
	}
}
