package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// settings returns the settings in the file and of --set.
func (o appOptions) settings() (map[string]string, error) {
	all, err := readValues(o.values)
	if err != nil {
		return nil, err
	}
	for _, set := range o.set {
		name, value, given := strings.Cut(set, "=")
		if !given || name == "" {
			return nil, fmt.Errorf("--set %q, expected NAME=VALUE", set)
		}
		all[name] = value
	}
	return all, nil
}

// readValues reads a YAML map of settings; "" is an empty one. A value is text, a number or
// a boolean, which stays as it is written.
func readValues(path string) (map[string]string, error) {
	all := map[string]string{}
	if path == "" {
		return all, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--values: %w", err)
	}
	nodes, err := yamlMap(content)
	if err != nil {
		return nil, fmt.Errorf("--values %s, expected a YAML map of settings: %s", path, strings.Join(strings.Fields(err.Error()), " "))
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		node := nodes[name]
		if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
			return nil, fmt.Errorf("%s:%d: %s is not a text, number or boolean: write lists and maps as JSON in quotes", path, node.Line, name)
		}
		all[name] = node.Value
	}
	return all, nil
}

// yamlMap reads the one document of a YAML file, a map with text as its keys.
func yamlMap(content []byte) (map[string]yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) { // empty
			return nil, nil
		}
		return nil, err
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, cmp.Or(err, errors.New("it has more than one document"))
	}
	node := document.Content[0]
	if node.Kind != yaml.MappingNode && node.Tag != "!!null" {
		return nil, errors.New("it has a list, or one value")
	}
	for i := 0; i < len(node.Content); i += 2 {
		if key := node.Content[i]; key.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: the key is not a text", key.Line)
		}
	}
	var nodes map[string]yaml.Node
	return nodes, document.Decode(&nodes)
}
