package vex

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
)

// Entry is a statement as it is written into a file: the values by key. Empty ones are left
// out.
type Entry struct {
	Values map[string]string   // vulnerability, status, justification, …
	Lists  map[string][]string // aliases, components and variants
}

// Add writes a statement at the end of an app's file, and leaves everything else in it as
// it is. The result must be a file that Load reads. It returns the file's name.
func Add(dir string, app catalog.App, entry Entry, now time.Time) (string, error) {
	name := FileOf(app.Name)
	path := filepath.Join(dir, filepath.FromSlash(name))
	text, err := file.ReadOwn(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if _, err := Parse(name, text, now); err != nil {
		return "", err
	}
	added, err := insert(name, text, entry)
	if err != nil {
		return "", err
	}
	statements, err := Parse(name, added, now)
	if err == nil {
		err = checkScopes(name, statements, app)
	}
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return "", err
	}
	return name, atomicfile.Write(path, added, 0o644)
}

// insert puts a statement at the end of a file's text, which is valid.
func insert(name string, text []byte, entry Entry) ([]byte, error) {
	item, err := entry.yaml()
	if err != nil {
		return nil, err
	}
	root, err := readYAML(name, text)
	if err != nil {
		return nil, err
	}
	list := (*yaml.Node)(nil)
	if root != nil && root.Kind == yaml.MappingNode && len(root.Content) > 0 {
		list = root.Content[1]
	}
	switch {
	case list == nil:
		text = append(ended(text), "statements:\n"...)
		return append(text, indented(item, 2)...), nil
	case isNull(list):
		return append(ended(text), indented(item, root.Content[0].Column+1)...), nil
	case list.Style&yaml.FlowStyle != 0:
		return nil, &fault.Fault{Err: fmt.Errorf("%s:%d: statements is written in brackets", name, list.Line), Fix: "write each statement below it, after a dash"}
	}
	// A list's column is that of its first dash.
	return append(ended(text), indented(item, list.Column-1)...), nil
}

// ended is a text that ends with a line break, if it has any text.
func ended(text []byte) []byte {
	text = bytes.TrimRight(text, "\n \t")
	if len(text) == 0 {
		return nil
	}
	return append(slices.Clone(text), '\n')
}

func indented(text string, by int) []byte {
	var all []byte
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			line = strings.Repeat(" ", by) + line
		}
		all = append(all, line...)
	}
	return all
}

// yaml is the entry as an element of a list, its keys in the usual order.
func (e Entry) yaml() (string, error) {
	mapping := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range keys {
		value := &yaml.Node{}
		switch list := e.Lists[key.name]; {
		case len(list) > 0:
			value.Kind, value.Style = yaml.SequenceNode, yaml.FlowStyle
			for _, word := range list {
				value.Content = append(value.Content, plainOrQuoted(word))
			}
		case e.Values[key.name] != "":
			value = plainOrQuoted(e.Values[key.name])
		default:
			continue
		}
		mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key.name}, value)
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := encoder.Encode(&yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{mapping}})
	return text.String(), errors.Join(err, encoder.Close())
}

// plainOrQuoted is a text, quoted where YAML would read something else. Days are written
// plain: here they are read as text.
func plainOrQuoted(word string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: word}
	if _, err := time.Parse(time.DateOnly, word); err != nil {
		node.SetString(word)
	}
	return node
}
