// Package yamlfile reads YAML files that people write: a mapping with one key, whose value is a
// list of mappings. Errors have the line, and how to fix it. It adds elements to such lists and
// removes them, and leaves everything else in the file as it is.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
)

// Reading collects what is wrong in a file.
type Reading struct {
	File     string // its name, for errors
	Problems []error
}

// Wrong adds a problem: FILE:LINE: what is wrong; how to fix it.
func (r *Reading) Wrong(line int, what, fix string) {
	r.Problems = append(r.Problems, &fault.Fault{Err: fmt.Errorf("%s:%d: %s", r.File, line, what), Fix: fix})
}

// Err has a line for each problem; nil if there is none.
func (r *Reading) Err() error { return errors.Join(r.Problems...) }

// Read reads the only document of a file; nil if it is empty, or not valid YAML.
func (r *Reading) Read(text []byte) *yaml.Node {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(line) {
			r.Wrong(i+1, "the line is not UTF-8", "save the file as UTF-8")
			return nil
		}
	}
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		if err = decoder.Decode(&second); err == nil {
			r.Wrong(second.Line, "a second YAML document starts here", "remove the line --- and what is below it")
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		line, what := syntaxError(err)
		r.Wrong(line, "invalid YAML: "+what, "check the indentation, and quote values with : or #")
		return nil
	}
	return document.Content[0]
}

// Elements are those of the list that is the value of key, the only one of a file.
func (r *Reading) Elements(root *yaml.Node, key string) []*yaml.Node {
	shape := "write " + key + ": and below it a list"
	if root == nil || IsNull(root) {
		return nil
	}
	if root.Kind != yaml.MappingNode {
		r.Wrong(root.Line, "expected a mapping with "+key, shape)
		return nil
	}
	var list *yaml.Node
	for name, value := range r.Pairs(root) {
		if name.Value != key {
			r.Wrong(name.Line, fmt.Sprintf("unknown key %q, expected %s", name.Value, key), shape)
			continue
		}
		list = value
	}
	switch {
	case list == nil || IsNull(list):
		return nil
	case list.Kind != yaml.SequenceNode:
		r.Wrong(list.Line, key+" is not a list", shape)
		return nil
	}
	return list.Content
}

// Pairs gives the keys of a mapping with their values, and refuses keys that are set twice.
func (r *Reading) Pairs(mapping *yaml.Node) func(yield func(name, value *yaml.Node) bool) {
	return func(yield func(name, value *yaml.Node) bool) {
		lines := map[string]int{}
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			name, value := mapping.Content[i], mapping.Content[i+1]
			if first := lines[name.Value]; first > 0 {
				r.Wrong(name.Line, fmt.Sprintf("%q is set twice, first in line %d", name.Value, first), fmt.Sprintf("remove line %d", name.Line))
				continue
			}
			lines[name.Value] = name.Line
			if !yield(name, value) {
				return
			}
		}
	}
}

// IsNull reports whether a node has no value.
func IsNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

// Text is a text without the white space around it. Empty ones are errors.
func Text(node *yaml.Node) (string, error) {
	switch {
	case node.Kind != yaml.ScalarNode || node.ShortTag() == "!!binary":
		return "", errors.New("expected a text")
	case IsNull(node) || strings.TrimSpace(node.Value) == "":
		return "", errors.New("it is empty")
	case strings.ContainsFunc(node.Value, func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' || c == 0x7f }):
		return "", errors.New("it has a control character")
	}
	return strings.TrimSpace(node.Value), nil
}

// Day is a date such as 2026-11-28, in UTC.
func Day(node *yaml.Node) (time.Time, error) {
	value, err := Text(node)
	if err != nil {
		return time.Time{}, err
	}
	day, err := time.Parse(time.DateOnly, value)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a date", value)
	}
	return day, nil
}

var yamlError = lazyregexp.New(`^yaml: (?:line (\d+): )?(.*)`)

// syntaxError gives the line and the message of an error of the YAML library.
func syntaxError(err error) (line int, what string) {
	found := yamlError().FindStringSubmatch(strings.Join(strings.Fields(err.Error()), " "))
	if found == nil {
		return 1, err.Error()
	}
	fmt.Sscan(found[1], &line)
	if strings.HasPrefix(found[2], "did not find expected ") {
		line++ // the library's parser counts from 0, its scanner from 1
	}
	return max(line, 1), found[2]
}
