package find

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/sbom"
)

// Index keeps SBOMs in a folder that only this user can change, one file for each image: a
// line with the document, then one line for each component, which begins with the texts
// that queries ask for.
type Index struct{ Dir string }

// Image names an image for one platform. Who attests an image in one repository says
// nothing for another repository.
type Image struct {
	Repository string // with the registry; anything else that no repository has for an image of this machine
	Manifest   v1.Hash
}

func (i Image) String() string { return i.Repository + "@" + i.Manifest.String() }

// formatVersion begins each file. Files of another version count as missing.
const formatVersion = "libre SBOM index 2\n"

// separator is between a component's key and its JSON. Neither has a line break.
const separator = "\t"

// entry is the JSON of a component's line.
type entry struct {
	Component sbom.Component
	Way       []string // names of the components from the image to this one, its own last
}

func (x *Index) file(image Image) string {
	return filepath.Join(x.Dir, fmt.Sprintf("%x", sha256.Sum256([]byte(image.Repository)))[:16], image.Manifest.Hex)
}

// Put adds the SBOM of an image. It is an error if the document describes another image.
func (x *Index) Put(image Image, document *sbom.Document) error {
	if document.Subject.Manifest != image.Manifest {
		return fmt.Errorf("the SBOM of %s describes %s", image, document.Subject.Manifest)
	}
	var text bytes.Buffer
	text.WriteString(formatVersion)
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
	return private.Replace(file, text.Bytes())
}

var oneLine = strings.NewReplacer("\n", " ", "\r", " ", separator, " ")

// key is what queries ask for, in lower case on one line.
func key(c *sbom.Component) string {
	texts := append([]string{c.Name}, licenses(c)...)
	for _, patch := range c.Patches {
		texts = append(texts, patch.Resolves...)
	}
	return oneLine.Replace(strings.ToLower(strings.Join(texts, " ")))
}

// Has reports whether the index has the SBOM of an image. It reads the beginning of its file
// alone.
func (x *Index) Has(image Image) bool {
	file, err := x.open(image)
	if err != nil || file == nil {
		return false
	}
	file.Close()
	return true
}

// Get returns the SBOM of an image; nil if the index lacks it.
func (x *Index) Get(image Image) (*sbom.Document, error) {
	var content bytes.Buffer
	if err := x.read(image, &content); err != nil || content.Len() == 0 {
		return nil, err
	}
	return decode(image, content.Bytes())
}

// open opens an image's file behind its version; nil if there is none.
func (x *Index) open(image Image) (*os.File, error) {
	file, err := private.Open(x.file(image))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	version := make([]byte, len(formatVersion))
	if _, err := io.ReadFull(file, version); err != nil || string(version) != formatVersion {
		file.Close()
		return nil, nil
	}
	return file, nil
}

// read reads the lines of an image's file; none if the index lacks it.
func (x *Index) read(image Image, lines *bytes.Buffer) error {
	file, err := x.open(image)
	if err != nil || file == nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil {
		lines.Grow(int(info.Size()) + bytes.MinRead)
	}
	_, err = lines.ReadFrom(file)
	return err
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
