package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/fault"
)

// Field is a key of an element that is written, with its value.
type Field struct {
	Key   string
	Value *yaml.Node
}

// Scalar is a text, quoted where YAML would read something else. Days are written plain:
// here they are read as text.
func Scalar(word string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: word}
	if _, err := time.Parse(time.DateOnly, word); err != nil {
		node.SetString(word)
	}
	return node
}

// Append puts an element at the end of the list that is the value of key. The text is valid.
func Append(file string, text []byte, key string, element []Field) ([]byte, error) {
	item, err := item(element)
	if err != nil {
		return nil, err
	}
	root, list, err := listOf(file, text)
	switch {
	case err != nil:
		return nil, err
	case list == nil:
		text = append(ended(text), key+":\n"...)
		return append(text, indented(item, 2)...), nil
	case IsNull(list):
		return append(ended(text), indented(item, root.Content[0].Column+1)...), nil
	case list.Style&yaml.FlowStyle != 0 && len(list.Content) == 0:
		return emptied(file, text, key, list, item)
	case list.Style&yaml.FlowStyle != 0:
		return nil, inBrackets(file, key, list)
	}
	// A list's column is that of its first dash.
	return append(ended(text), indented(item, list.Column-1)...), nil
}

// Remove takes the element with a number, from 0, out of the list that is the value of key.
// Comments beside it go with it, and those above it stay. The text is valid.
func Remove(file string, text []byte, key string, number int) ([]byte, error) {
	_, list, err := listOf(file, text)
	if err != nil {
		return nil, err
	}
	if list.Style&yaml.FlowStyle != 0 {
		return nil, inBrackets(file, key, list)
	}
	lines := slices.Collect(bytes.Lines(text))
	from := list.Content[number].Line - 1
	for from > 0 && !isDash(lines[from], list.Column) {
		from-- // the dash has a line of its own
	}
	to := from + 1
	for to < len(lines) && (isBlank(lines[to]) || indentation(lines[to]) >= list.Column) {
		to++
	}
	for isBlank(lines[to-1]) {
		to--
	}
	rest := slices.Delete(lines, from, to)
	return bytes.Join(rest, nil), nil
}

func isDash(line []byte, column int) bool {
	return indentation(line) == column-1 && bytes.HasPrefix(line[column-1:], []byte("-"))
}

func isBlank(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 }

func indentation(line []byte) int { return len(line) - len(bytes.TrimLeft(line, " ")) }

// listOf is the list in a file; nil if there is no key.
func listOf(file string, text []byte) (root, list *yaml.Node, err error) {
	r := Reading{File: file}
	root = r.Read(text)
	if root != nil && root.Kind == yaml.MappingNode && len(root.Content) > 0 {
		list = root.Content[1]
	}
	return root, list, r.Err()
}

// emptied writes an element below a key whose value is [].
func emptied(file string, text []byte, key string, list *yaml.Node, item string) ([]byte, error) {
	lines := slices.Collect(bytes.Lines(text))
	line := lines[list.Line-1]
	before, after := line[:list.Column-1], line[list.Column-1:]
	rest, found := bytes.CutPrefix(after, []byte("[]"))
	if !found {
		return nil, inBrackets(file, key, list)
	}
	lines[list.Line-1] = slices.Concat(bytes.TrimRight(before, " "), rest)
	return append(ended(bytes.Join(lines, nil)), indented(item, 2)...), nil
}

func inBrackets(file, key string, list *yaml.Node) error {
	element := strings.TrimSuffix(key, "s")
	if element == key {
		element = "element"
	}
	return &fault.Fault{Err: fmt.Errorf("%s:%d: %s is written in brackets", file, list.Line, key), Fix: "write each " + element + " below it, after a dash"}
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

// item is an element of a list, in YAML.
func item(element []Field) (string, error) {
	mapping := &yaml.Node{Kind: yaml.MappingNode}
	for _, field := range element {
		mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: field.Key}, field.Value)
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := encoder.Encode(&yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{mapping}})
	return text.String(), errors.Join(err, encoder.Close())
}
