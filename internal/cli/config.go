package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/sign"
)

// config is libre.yaml, next to the catalogue's flake.nix. A flag beats the
// environment (LIBRE_…), which beats the file.
type config struct {
	Registry   string              `yaml:"registry"`   // REGISTRY[/NAMESPACE] that images are named after
	CopyTo     []string            `yaml:"copyTo"`     // further registries that get what is published
	AlsoTag    []string            `yaml:"alsoTag"`    // moving tags of each release
	Forge      string              `yaml:"forge"`      // github or forgejo, where pull requests go; told from origin where empty
	Groups     map[string][]string `yaml:"groups"`     // @name → selections
	PackageSet string              `yaml:"packageSet"` // nixpkgs or host
	Engine     string              `yaml:"engine"`     // buildah, podman or docker; found automatically where empty
	Sign       signConfig          `yaml:"sign"`       // how images are signed, or none
}

// signConfig is "none", or a configuration of package sign.
type signConfig struct {
	none bool
	sign.Config
}

func (c *signConfig) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		if node.Value != "none" {
			return fmt.Errorf("line %d: sign is %q, expected none, or key or keyless below it", node.Line, node.Value)
		}
		c.none = true
		return nil
	}
	// Decoding a node forgets that unknown keys are errors.
	for i := 0; i < len(node.Content); i += 2 {
		switch key := node.Content[i]; key.Value {
		case "key", "publicKey", "keyless", "format":
		default:
			return fmt.Errorf("line %d: unknown key %s in sign, expected one of format, key, keyless, publicKey", key.Line, key.Value)
		}
	}
	return node.Decode(&c.Config)
}

// readConfig reads a catalogue's libre.yaml, if it has one.
func readConfig(dir string) (config, error) {
	var c config
	path := filepath.Join(dir, "libre.yaml")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("libre.yaml: %s", yamlMessage(err))
	}
	return c, nil
}

// yamlMessage makes one line of the library's errors, which keep the line number
// and name a Go type.
func yamlMessage(err error) string {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	message = strings.TrimPrefix(message, "unmarshal errors:\n")
	message, _, _ = strings.Cut(strings.TrimSpace(message), "\n")
	if before, found := strings.CutSuffix(message, " not found in type cli.config"); found {
		return strings.Replace(before, "field", "unknown key", 1) + ", expected one of registry, copyTo, alsoTag, forge, groups, packageSet, engine, sign"
	}
	return message
}

// setting is a value by the order flag, environment, file.
func setting(flag, variable, file string) string {
	if flag != "" {
		return flag
	}
	if value := os.Getenv(variable); value != "" {
		return value
	}
	return file
}

// packageSet checks the name of a package set; empty is nixpkgs.
func packageSet(name string) (string, error) {
	switch name {
	case "", nix.Nixpkgs:
		return nix.Nixpkgs, nil
	case nix.HostPackageName:
		return name, nil
	}
	return "", usageError{fmt.Errorf("package set %q, expected nixpkgs or host", name)}
}
