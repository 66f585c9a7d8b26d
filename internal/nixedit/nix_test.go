package nixedit

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// otherNames are attributes whose names are not written where they are defined.
var otherNames = []string{
	"testdata/interpolated.nix attr.1.0",
	"testdata/interpolated.nix attr.v1.0",
	"testdata/operators.nix n.b",
	"testdata/quoted.nix dynamic",
	"testdata/quoted.nix interpolated",
}

// Nix returns the place and the kind of each attribute. Find must agree.
func TestFindAgreesWithNix(t *testing.T) {
	needNix(t)
	files := corpus(t)
	names := slices.Sorted(maps.Keys(files))
	seen := map[Kind]int{}
	for i, leaves := range evaluate(t, names...) {
		for _, l := range leaves {
			if l.Position == nil || filepath.Base(l.Position.File) != filepath.Base(names[i]) {
				continue // made by a function
			}
			found, err := Find(files[names[i]], l.attribute())
			if slices.Contains(otherNames, names[i]+" "+strings.Join(l.Path, ".")) {
				if err == nil || !strings.Contains(err.Error(), "is written as") {
					t.Errorf("%s: %q: error %v, expected that it is written as something else", names[i], l.Path, err)
				}
				continue
			}
			if err != nil {
				t.Error(err)
				continue
			}
			seen[found.Kind]++
			if found.Refusal != nil {
				if found.Kind == Literal {
					t.Errorf("%s: %q: %v", names[i], l.Path, found.Refusal)
				}
				continue
			}
			indented := strings.HasPrefix(string(files[names[i]][offsetOf(t, files[names[i]], found):]), "''")
			sameNumber := found.Integer && strings.TrimLeft(found.Text, "0") == strings.TrimLeft(l.text(), "0")
			if found.Integer != (l.Type == "int") || found.Text != l.text() && !sameNumber && !indented {
				t.Errorf("%s: %q is %q (integer: %v), in Nix the %s %q", names[i], l.Path, found.Text, found.Integer, l.Type, l.text())
			}
		}
	}
	t.Log(seen)
	for _, k := range []Kind{Literal, Derived, Identifier, Inherited, Computed} {
		if seen[k] < 5 {
			t.Errorf("%d attributes are %s, expected some", seen[k], k)
		}
	}
}

func offsetOf(t *testing.T, src []byte, found Found) int {
	f, err := open("", src)
	check(t, err)
	return f.lines[found.Literal.Line-1] + found.Literal.Column - 1
}

// Each attribute of the corpus that can be set is set, one at a time. Then the file parses, the
// attribute has the new value in Nix, other attributes that are written as literals keep their
// values, and no byte outside the literal differs.
func TestSetAgreesWithNix(t *testing.T) {
	needNix(t)
	files := corpus(t)
	names := slices.Sorted(maps.Keys(files))
	type edit struct {
		name   string
		at     int // index of the leaf
		before []leaf
		place  Found
		value  Value
	}
	var edits []edit
	var paths []string
	dir := t.TempDir()
	for i, leaves := range evaluate(t, names...) {
		src := files[names[i]]
		for n, l := range leaves {
			if l.Position == nil || filepath.Base(l.Position.File) != filepath.Base(names[i]) {
				continue
			}
			found, err := Find(src, l.attribute())
			if err != nil || found.Refusal != nil {
				continue
			}
			v := value(t)(Version("9.8.7-new_1"))
			if found.Integer {
				v = value(t)(Integer(98765))
			}
			changed, err := Apply(map[string][]byte{l.Position.File: src}, Set{l.attribute(), v})
			check(t, err)
			out := changed[l.Position.File]
			sameOutside(t, src, out, offsetOf(t, src, found), v.text)
			path := filepath.Join(dir, fmt.Sprintf("%d.nix", len(paths)))
			check(t, os.WriteFile(path, out, 0o644))
			edits, paths = append(edits, edit{names[i], n, leaves, found, v}), append(paths, path)
		}
	}
	if _, err := nixInstantiate(t, append([]string{"--parse"}, paths...)...); err != nil {
		t.Fatal(err)
	}
	for i, after := range evaluate(t, paths...) {
		e := edits[i]
		if len(after) != len(e.before) {
			t.Errorf("%s: %q: %d attributes, before %d", e.name, e.before[e.at].Path, len(after), len(e.before))
			continue
		}
		for n, l := range after {
			old := e.before[n]
			if n == e.at {
				if l.text() != e.value.text {
					t.Errorf("%s: %q became %q", e.name, l.Path, l.text())
				}
				continue
			}
			if old.Position == nil || filepath.Base(old.Position.File) != filepath.Base(e.name) {
				continue
			}
			found, err := Find(files[e.name], old.attribute())
			if err == nil && found.Refusal == nil && found.Literal != e.place.Literal && !reflect.DeepEqual(l.Value, old.Value) {
				t.Errorf("%s: %q: %q changed too, to %q", e.name, e.before[e.at].Path, l.Path, l.text())
			}
		}
	}
	t.Logf("%d edits of %d files", len(paths), len(files))
}

// sameOutside compares all bytes outside the literal at an offset of before.
func sameOutside(t testing.TB, before, after []byte, literal int, text string) {
	t.Helper()
	f, err := open("", before)
	check(t, err)
	var n *node
	f.root.walk(func(c *node) bool {
		if c.from == literal && c.isLiteral() {
			n = c
		}
		return true
	})
	quotes := ""
	if n.kind == nodeString {
		quotes = map[byte]string{'"': `"`, '\'': "''"}[before[n.from]]
	}
	want := string(before[:n.from]) + quotes + text + quotes + string(before[n.to:])
	if string(after) != want {
		t.Errorf("gives\n%q, expected\n%q", after, want)
	}
}

// In each file of the corpus, a piece is replaced by a piece of another file. If Nix accepts
// the file, it accepts the edited one.
func TestEditedMutantsParse(t *testing.T) {
	needNix(t)
	files := corpus(t)
	names := slices.Sorted(maps.Keys(files))
	random := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	var before, after []string
	for i := 0; len(before) < 80; i++ {
		src := mutant(random, files[names[random.IntN(len(names))]], files[names[random.IntN(len(names))]])
		out, ok := setAny(t, src, random.Uint32())
		if !ok {
			continue
		}
		b, a := filepath.Join(dir, fmt.Sprint(i, "-before.nix")), filepath.Join(dir, fmt.Sprint(i, "-after.nix"))
		check(t, os.WriteFile(b, src, 0o644))
		check(t, os.WriteFile(a, out, 0o644))
		before, after = append(before, b), append(after, a)
	}
	valid := 0
	for i := range before {
		if !parses(t, before[i]) {
			continue
		}
		valid++
		if !parses(t, after[i]) {
			text, _ := os.ReadFile(after[i])
			t.Errorf("does not parse:\n%s", text)
		}
	}
	t.Logf("%d of %d mutants are valid", valid, len(before))
	if valid < 20 {
		t.Errorf("%d of %d mutants are valid: too few to tell", valid, len(before))
	}
}
