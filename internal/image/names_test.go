package image

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A file that an unpacker would take for a whiteout is refused, wherever it comes from.
func TestNamesThatLayersGiveAMeaningAreRefused(t *testing.T) {
	for _, test := range []struct{ file, refused string }{
		{"share/.wh.lost", "share/.wh.lost"},
		{".wh.x", ".wh.x"},
		{"bin/.wh..wh..opq", "bin/.wh..wh..opq"},
		{"a/b/.wh.", "a/b/.wh."},
		{".wh.folder/x", ".wh.folder"},
		{".wh..wh.plnk/x", ".wh..wh.plnk"},
	} {
		s, spec := demo(t)
		path := s.add("names-1", map[string]string{test.file: "x"})
		spec.Closure = s.all
		_, err := Assemble(context.Background(), newLayout(t), spec, s.options())
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", path+"/"+test.refused)) {
			t.Errorf("%s in a store path: %v", test.file, err)
		}
		if err != nil && strings.Contains(err.Error(), "writing the layer of") {
			t.Errorf("%s: another path is named before the one that has it: %v", test.file, err)
		}

		s, spec = demo(t)
		file := filepath.Join(s.root+spec.Root, test.file)
		check(t, os.MkdirAll(filepath.Dir(file), 0o755))
		check(t, os.WriteFile(file, nil, 0o644))
		_, err = Assemble(context.Background(), newLayout(t), spec, s.options())
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", "/"+test.refused)) {
			t.Errorf("%s in the root file system: %v", test.file, err)
		}
	}
}

// Names that only look similar are ordinary files.
func TestNamesLikeThoseOfLayers(t *testing.T) {
	s, spec := demo(t)
	s.add("names-1", map[string]string{".whx": "x", "x.wh.y": "x", ".WH.x": "x", "wh..opq": "x", ".wh": "x", "..wh.x": "x"})
	spec.Closure = s.all
	result, err := Assemble(context.Background(), newLayout(t), spec, s.options())
	check(t, err)
	if len(result.Layers) == 0 {
		t.Error("no layers")
	}
}

func TestAddToolsRefusesNamesOfLayers(t *testing.T) {
	s, spec := tools(t)
	check(t, os.WriteFile(filepath.Join(s.root+spec.Root, "bin", ".wh.sh"), nil, 0o755))
	l := newLayout(t)
	spec.Base = baseImage(t, l, v1.ConfigFile{}, tarOf(t, "f a"))
	if _, err := AddTools(context.Background(), l, spec, s.options()); err == nil || !strings.Contains(err.Error(), ".wh.sh") {
		t.Errorf("got %v", err)
	}
}

// An engine's whiteouts stay. A copied file with such a name is refused, because it would be
// lost.
func TestImportKeepsWhiteoutsOnly(t *testing.T) {
	lower := tarOf(t, "f a", "d d", "f d/b", "l link d")
	imported := func(hasBase bool, layers ...[]byte) (Result, error) {
		spec := importSpec()
		spec.HasBase = hasBase
		return Import(context.Background(), engineLayout(t, "x", layers...), newLayout(t), spec, Options{Cache: NewCache("")})
	}
	for _, upper := range [][]string{
		{"e .wh.a", "d d", "e d/.wh..wh..opq", "e new/.wh..wh..opq"}, {"e .wh.d"}, {"e ./.wh.a"}, {"e link/.wh.b"}, {"e .wh..wh.plnk"},
	} {
		result, err := imported(false, lower, tarOf(t, upper...))
		if err != nil || len(result.Layers) != 2 {
			t.Errorf("%s: %d layers, %v", upper, len(result.Layers), err)
		}
	}
	if _, err := imported(false, lower, tarOf(t, "e .wh.a"), tarOf(t, "e .wh.a")); err != nil {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := imported(true, tarOf(t, "e .wh.a"), tarOf(t, "f b")); err != nil {
		t.Errorf("of a base: %v", err)
	}
	for _, test := range []struct{ upper, refused string }{
		{"f d/.wh.x", "/d/.wh.x"}, {"d .wh.d", "/.wh.d"}, {"l .wh.l target", "/.wh.l"},
		{"e .wh.x", "/.wh.x"}, {"e d/.wh.a", "/d/.wh.a"}, {"e link/.wh.a", "/link/.wh.a"}, {"e new/.wh.x", "/new/.wh.x"}, {"h .wh.x a", "/.wh.x"},
		{"c d/x", "/d/x"},
	} {
		for _, layers := range [][][]byte{{lower, tarOf(t, test.upper)}, {tarOf(t, test.upper)}} {
			if _, err := imported(false, layers...); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", test.refused)) {
				t.Errorf("%s over %d layers: %v", test.upper, len(layers)-1, err)
			}
		}
	}
	var copied bytes.Buffer
	content := append(tarOf(t, "f a", "e .wh.b"), make([]byte, 20<<10)...) // engines pad
	if _, err := copyLayer(&copied, bytes.NewReader(content)); err != nil || !bytes.Equal(copied.Bytes(), content) {
		t.Errorf("%d bytes of %d, %v", copied.Len(), len(content), err)
	}
}
