// Package kit writes what other tools need to follow a catalogue's images and to verify
// their signatures: Renovate, Flux, Kyverno, sigstore's policy-controller, and the
// libraries of skopeo, podman and CRI-O. It reads no registry. What a tool cannot verify in
// the configured format is an error, which says why and what to set.
package kit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/text"
)

// A File is a rendered file. The same input gives the same bytes.
type File struct {
	Name    string // path with slashes, relative to the output folder
	Content []byte // UTF-8, JSON or YAML, with a newline at the end
	Private bool   // it has secrets: nobody but its owner may read it
}

// Places are where a catalogue's images are.
type Places struct {
	Registries []string    // REGISTRY[/NAMESPACE], which are published to
	Copies     []sign.Copy // other registries where their signatures count; In is not empty
}

// prefixes lists all places, each once, sorted.
func (p Places) prefixes() []string {
	var all []string
	for _, registry := range p.Registries {
		all = append(all, strings.TrimSuffix(registry, "/"))
	}
	for _, c := range p.Copies {
		all = append(all, strings.TrimSuffix(c.In, "/"))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Stream joins files to one YAML stream, of which JSON is a part. Each document begins with
// its file's name.
func Stream(files []File) []byte {
	var all bytes.Buffer
	for _, file := range files {
		fmt.Fprintf(&all, "---\n# %s\n%s", file.Name, bytes.TrimPrefix(file.Content, []byte("---\n")))
	}
	return all.Bytes()
}

// YAML writes objects as the documents of one file, below a comment, each line of which ends
// with a newline. Other ends of lines, which YAML has too, do not end the comment.
func YAML(name, comment string, objects ...any) (File, error) {
	var content bytes.Buffer
	for line := range strings.Lines(text.Plain(comment)) {
		content.WriteString("# " + line)
	}
	encoder := yaml.NewEncoder(&content)
	encoder.SetIndent(2)
	for _, object := range objects {
		if err := encoder.Encode(object); err != nil {
			return File{}, fmt.Errorf("writing %s: %w", name, err)
		}
	}
	err := encoder.Close()
	return File{Name: name, Content: content.Bytes()}, err
}

// jsonFile writes a value as indented JSON, in which < and > stay as they are.
func jsonFile(name string, value any) (File, error) {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return File{}, fmt.Errorf("writing %s: %w", name, err)
	}
	return File{Name: name, Content: content.Bytes()}, nil
}

// An object is a Kubernetes object of one of the kinds that this package writes.
type object struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       any      `yaml:"spec"`
}

type metadata struct {
	Name string `yaml:"name"`
}
