package find

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/sbom"
)

// Index keeps SBOMs in a folder that only this user can change, one file for each image: a
// line with the version of the format and a checksum of all that follows, a line with the
// document, then one line for each component, which begins with the texts that queries ask for.
// A file that is damaged counts as missing.
type Index struct{ Dir string }

// Image names an image for one platform. Who attests an image in one repository says
// nothing for another repository.
type Image struct {
	Repository string // with the registry; anything else that no repository has for an image of this machine
	Manifest   v1.Hash
	Policy     string // fingerprint of the signature policy that its SBOM is accepted by; "" on this machine
}

func (i Image) String() string { return i.Repository + "@" + i.Manifest.String() }

// header begins each file. Files of another version of the format count as missing.
func header(content []byte) string {
	return fmt.Sprintf("libre SBOM index 3 %08x\n", crc32.Checksum(content, castagnoli))
}

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// separator is between a component's key and its JSON. Neither has a line break.
const separator = "\t"

// entry is the JSON of a component's line.
type entry struct {
	Component sbom.Component
	Way       []string // names of the components from the image to this one, its own last
}

func (x *Index) file(image Image) string {
	return filepath.Join(x.Dir, fmt.Sprintf("%x", sha256.Sum256([]byte(image.Repository+"\n"+image.Policy)))[:16], image.Manifest.Hex)
}

// Put adds the SBOM of an image. It is an error if the document describes another image.
func (x *Index) Put(image Image, document *sbom.Document) error {
	if document.Subject.Manifest != image.Manifest {
		return fmt.Errorf("the SBOM of %s describes %s", image, document.Subject.Manifest)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	head := *document
	head.Components = nil
	if err := encoder.Encode(head); err != nil {
		return err
	}
	names := make(map[string]string, len(document.Components))
	for _, c := range document.Components {
		names[c.ID] = c.Name
	}
	paths := document.Paths()
	for _, c := range document.Components {
		text.WriteString(key(&c) + separator)
		e := entry{Component: c}
		for _, id := range paths.To(c.ID) {
			e.Way = append(e.Way, names[id])
		}
		if err := encoder.Encode(e); err != nil {
			return err
		}
	}
	file := x.file(image)
	for _, dir := range []string{x.Dir, filepath.Dir(file)} {
		if err := private.Folder(dir); err != nil {
			return err
		}
	}
	return private.Replace(file, append([]byte(header(text.Bytes())), text.Bytes()...))
}

var oneLine = strings.NewReplacer("\n", " ", "\r", " ", separator, " ")

// key returns the component's name for queries, in lower case on one line.
func key(c *sbom.Component) string {
	texts := append([]string{c.Name}, licenses(c)...)
	for _, patch := range c.Patches {
		texts = append(texts, patch.Resolves...)
	}
	return oneLine.Replace(strings.ToLower(strings.Join(texts, " ")))
}

// Has reports whether the index has the whole SBOM of an image.
func (x *Index) Has(image Image) bool {
	content := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(content)
	lines, err := x.read(image, content)
	return err == nil && lines != nil
}

// Get returns the SBOM of an image; nil if the index lacks it.
func (x *Index) Get(image Image) (*sbom.Document, error) {
	lines, err := x.read(image, &bytes.Buffer{})
	if err != nil || lines == nil {
		return nil, err
	}
	return decode(image, lines)
}

// read reads an image's file into a buffer, and returns the lines after the header; nil if the
// index lacks it.
func (x *Index) read(image Image, into *bytes.Buffer) ([]byte, error) {
	into.Reset()
	file, err := private.Open(x.file(image))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil {
		into.Grow(int(info.Size()) + bytes.MinRead)
		if time.Since(info.ModTime()) > time.Hour {
			private.MarkUsed(file.Name())
		}
	}
	if _, err = into.ReadFrom(file); err != nil {
		return nil, err
	}
	first, lines, _ := bytes.Cut(into.Bytes(), []byte("\n"))
	if len(lines) == 0 || string(first)+"\n" != header(lines) {
		return nil, nil
	}
	return lines, nil
}

func decode(image Image, content []byte) (*sbom.Document, error) {
	var document sbom.Document
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, len(content)+1)
	for first := true; lines.Scan(); first = false {
		if first {
			if err := json.Unmarshal(lines.Bytes(), &document); err != nil {
				return nil, fmt.Errorf("reading the index of SBOMs for %s: %w", image, err)
			}
			continue
		}
		e, err := decodeLine(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("reading the index of SBOMs for %s: %w", image, err)
		}
		document.Components = append(document.Components, e.Component)
	}
	if document.Subject.Manifest != image.Manifest {
		return nil, fmt.Errorf("reading the index of SBOMs: the file of %s describes %s", image, document.Subject.Manifest)
	}
	return &document, lines.Err()
}

func decodeLine(line []byte) (e entry, err error) {
	_, text, _ := bytes.Cut(line, []byte(separator))
	err = json.Unmarshal(text, &e)
	return e, err
}
