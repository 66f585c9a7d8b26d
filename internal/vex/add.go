package vex

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/yamlfile"
)

// Entry is a statement to write into a file: the values by key. Empty values are left out.
type Entry struct {
	Values map[string]string   // vulnerability, status, justification, …
	Lists  map[string][]string // aliases, components and variants
}

// Add writes a statement at the end of an app's file, and keeps everything else in it as it is.
// Load must be able to read the result. Add returns the file's name.
func Add(dir string, app catalog.App, entry Entry, now time.Time) (string, error) {
	name := FileOf(app.Name)
	path := filepath.Join(dir, filepath.FromSlash(name))
	unlock, err := atomicfile.Lock(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	defer unlock()
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
	return name, atomicfile.Write(path, added, 0o644)
}

// insert adds a statement at the end of a file's text, which must be valid.
func insert(name string, text []byte, entry Entry) ([]byte, error) {
	return yamlfile.Append(name, text, listKey, entry.fields())
}

// fields returns the keys of an entry with their values, in the usual order.
func (e Entry) fields() []yamlfile.Field {
	var fields []yamlfile.Field
	for _, key := range keys {
		switch list := e.Lists[key.name]; {
		case len(list) > 0:
			value := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
			for _, word := range list {
				value.Content = append(value.Content, yamlfile.Scalar(word))
			}
			fields = append(fields, yamlfile.Field{Key: key.name, Value: value})
		case e.Values[key.name] != "":
			fields = append(fields, yamlfile.Field{Key: key.name, Value: yamlfile.Scalar(e.Values[key.name])})
		}
	}
	return fields
}
