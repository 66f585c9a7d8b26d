package find

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/sbom"
)

// Match is a component of an image.
type Match struct {
	Component sbom.Component
	Way       []string // names of the components from the image to this one, its own last
	PatchedBy []string // names of the patches that fix the vulnerability of the query
	Answer    string   // what is known of the vulnerability in this component; set by who knows it
}

// Search returns the components that a query selects, for each of the images in the order
// that they have there. Images that the index lacks have none.
func (x *Index) Search(query Query, images []Image) ([][]Match, error) {
	all := make([][]Match, len(images))
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for i, image := range images {
		group.Go(func() (err error) {
			all[i], err = x.search(query, image)
			return err
		})
	}
	return all, group.Wait()
}

// buffers are for the files of the index, which are all about as large.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// search decodes the lines whose key has the query's literal, and no others.
func (x *Index) search(query Query, image Image) (matches []Match, err error) {
	content := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(content)
	lines, err := x.read(image, content)
	if err != nil {
		return nil, err
	}
	literal := []byte(query.literal)
	_, rest, _ := bytes.Cut(lines, []byte("\n")) // after the line with the document
	for {
		at := bytes.Index(rest, literal)
		if at < 0 || len(rest) == 0 {
			return matches, nil
		}
		start, end := bytes.LastIndexByte(rest[:at], '\n')+1, len(rest)
		if newline := bytes.IndexByte(rest[at:], '\n'); newline >= 0 {
			end = at + newline
		}
		line := rest[start:end]
		rest = rest[min(end+1, len(rest)):]
		if key, _, _ := bytes.Cut(line, []byte(separator)); !bytes.Contains(key, literal) {
			continue
		}
		e, err := decodeLine(line)
		if err != nil {
			return nil, fmt.Errorf("reading the index of SBOMs for %s: %w", image, err)
		}
		if query.Selects(&e.Component) {
			matches = append(matches, Match{Component: e.Component, Way: e.Way, PatchedBy: patchesFor(&e.Component, query.Vulnerability)})
		}
	}
}
