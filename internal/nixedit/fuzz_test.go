package nixedit

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// parses reports whether the real Nix can parse a file.
func parses(t testing.TB, file string) bool {
	t.Helper()
	cmd := exec.Command("nix-instantiate", "--parse", file)
	cmd.Env = append(os.Environ(), "NIX_REMOTE=dummy://")
	out, err := cmd.CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("error:")) {
		t.Fatalf("nix-instantiate: %v\n%s", err, out)
	}
	return err == nil
}

// mutant replaces a piece of one file by a piece of another.
func mutant(random *rand.Rand, src, other []byte) []byte {
	cut := func(s []byte, most int) (from, to int) {
		from = random.IntN(len(s) + 1)
		return from, from + random.IntN(min(len(s)-from, most)+1)
	}
	from, to := cut(src, 3)
	oFrom, oTo := cut(other, 12)
	return bytes.Join([][]byte{src[:from], other[oFrom:oTo], src[to:]}, nil)
}

// setAny sets one of the attributes of a file that can be set.
func setAny(t testing.TB, src []byte, pick uint32) ([]byte, bool) {
	t.Helper()
	f, err := open("x.nix", src)
	if err != nil {
		return nil, false
	}
	var sets []Set
	for b := range f.root.allBindings {
		if b.value == nil || !b.static() {
			continue
		}
		a := Attribute{Path: leaf{Path: names(b), Position: &catalog.Position{}}.attribute().Path, At: f.position(b.path[0].from)}
		n, err := f.literal(a, b)
		if err != nil {
			continue
		}
		v := value(t)(Version("0.0.1-fuzzed"))
		if n.kind == nodeInteger {
			v = value(t)(Integer(42))
		}
		sets = append(sets, Set{a, v})
	}
	if len(sets) == 0 {
		return nil, false
	}
	set := sets[int(pick%uint32(len(sets)))]
	found, err := Find(src, set.Attribute)
	if err != nil {
		return nil, false // this test cannot quote its name
	}
	changed, err := Apply(map[string][]byte{"x.nix": src}, set)
	check(t, err)
	out, differs := changed["x.nix"]
	if !differs {
		return src, true
	}
	sameOutside(t, src, out, f.lines[found.Literal.Line-1]+found.Literal.Column-1, set.Value.text)
	return out, true
}

func names(b *binding) []string {
	var all []string
	for _, a := range b.path {
		all = append(all, a.name)
	}
	return all
}

// For any bytes, nothing outside the literal changes, the result reads as before except for the
// new value, and tokens with the space between them are the whole file. If Nix accepted the
// file before, it accepts the result.
func FuzzSet(f *testing.F) {
	for _, src := range corpus(f) {
		f.Add(src, uint32(len(src)))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src []byte, pick uint32) {
		tokens, err := lex(src)
		if err != nil {
			return
		}
		at := 0
		for _, token := range tokens {
			for at < token.from {
				n := len(blank().Find(src[at:token.from]))
				if n == 0 {
					t.Fatalf("%q is neither blank nor a token", src[at:token.from])
				}
				at += n
			}
			at = token.to
		}
		out, ok := setAny(t, src, pick)
		if _, err := exec.LookPath("nix-instantiate"); !ok || err != nil {
			return
		}
		before, err := os.CreateTemp(dir, "*.nix")
		check(t, err)
		defer os.Remove(before.Name())
		check(t, before.Close())
		check(t, os.WriteFile(before.Name(), src, 0o644))
		if !parses(t, before.Name()) {
			return
		}
		check(t, os.WriteFile(before.Name(), out, 0o644))
		if !parses(t, before.Name()) {
			t.Errorf("Nix took\n%s\nbut not\n%s", src, out)
		}
	})
}

// For any bytes, a patch that is added to any attribute is in the result. If Nix accepted the
// file before, it accepts the result.
func FuzzPatches(f *testing.F) {
	for _, src := range corpus(f) {
		f.Add(src, uint32(len(src)))
	}
	for _, src := range []string{"{ patches = [ ]; }", "{ mkApp, ... }: mkApp {\n  patches = [\n    # x\n  ];\n  lyon = app: patchSource app [ ./x ];\n}", "{ a ? 1 }: { lyon = app: app // { }; }"} {
		f.Add([]byte(src), uint32(1))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src []byte, pick uint32) {
		parsed, err := open("x.nix", src)
		if err != nil {
			return
		}
		var all []Attribute
		for b := range parsed.root.allBindings {
			if b.static() && b.value != nil && b.owner.kind == nodeSet {
				all = append(all, Attribute{Path: leaf{Path: names(b), Position: &catalog.Position{}}.attribute().Path, At: parsed.position(b.path[0].from)})
			}
		}
		if len(all) == 0 {
			return
		}
		a := all[int(pick%uint32(len(all)))]
		for _, change := range []Change{AddPatch{a, aPatch(t)}, CreatePatches{a, aPatch(t)}, PatchVariant{a, aPatch(t)}} {
			changed, err := Apply(map[string][]byte{"x.nix": src}, change)
			if err != nil {
				continue
			}
			out := changed["x.nix"]
			if after, err := open("x.nix", out); err != nil || !after.hasPatch() {
				t.Fatalf("%T: no patch in\n%s", change, out)
			}
			if before := written(t, dir, src); parses(t, before) && !parses(t, written(t, dir, out)) {
				t.Errorf("%T: Nix took\n%s\nbut not\n%s", change, src, out)
			}
		}
	})
}

func (f *file) hasPatch() bool {
	return !f.root.walk(func(n *node) bool { return !f.isPatch(n, "./patches/CVE-2026-1234.patch") })
}

// written writes a text to a new file, and returns its name.
func written(t testing.TB, dir string, text []byte) string {
	t.Helper()
	file, err := os.CreateTemp(dir, "*.nix")
	check(t, err)
	t.Cleanup(func() { os.Remove(file.Name()) })
	_, err = file.Write(text)
	check(t, err)
	check(t, file.Close())
	return file.Name()
}
