package sbom

import (
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/anchore/packageurl-go"

	"github.com/libresh/libre/internal/nix"
)

const nixType = "nix"

// FromClosure lists the store paths of an image. rootfs is the store path that becomes the root
// directory. If another path refers to it, it is also at its own path. rootfs is empty for a
// Containerfile image. tools are the other paths that the image itself depends on, those of a
// debug layer. The closure has all of these paths and all their dependencies.
func FromClosure(subject Subject, closure []nix.PathInfo, rootfs string, tools ...string) (*Document, error) {
	components := map[string]*Component{}
	for _, info := range closure {
		component, err := storeComponent(info)
		if err != nil {
			return nil, err
		}
		components[component.ID] = component
	}
	if root := components[rootfs]; root != nil {
		root.Where = []string{"/"}
		if slices.ContainsFunc(closure, func(info nix.PathInfo) bool {
			return info.Path != rootfs && slices.Contains(info.References, rootfs)
		}) {
			root.Where = append(root.Where, rootfs)
		}
	}
	document := &Document{Subject: subject, Complete: rootfs != ""}
	for _, root := range append([]string{rootfs}, tools...) {
		if root == "" {
			continue
		}
		if components[root] == nil {
			return nil, fmt.Errorf("listing the closure of %s: %s is not in it", subject.Name, root)
		}
		document.DependsOn = append(document.DependsOn, root)
	}
	document.DependsOn = unique(document.DependsOn)
	document.Components = sorted(components)
	return document, nil
}

func storeComponent(info nix.PathInfo) (*Component, error) {
	hash, storeName, ok := strings.Cut(path.Base(info.Path), "-")
	digest, isSHA256 := strings.CutPrefix(info.NarHash, "sha256:")
	if !ok || hash == "" || storeName == "" {
		return nil, fmt.Errorf("listing a closure: %q is not a store path", info.Path)
	}
	if raw, err := hex.DecodeString(digest); !isSHA256 || err != nil || len(raw) != 32 {
		return nil, fmt.Errorf("listing a closure: %q is not the NAR hash of %s", info.NarHash, info.Path)
	}
	name, version := parseStoreName(storeName)
	return &Component{
		ID: info.Path, Name: name, Version: version, Type: nixType,
		PURL:      nixPURL(name, version, hash, info.NarHash),
		StorePath: info.Path, NarHash: info.NarHash,
		Where: []string{info.Path}, DependsOn: info.References,
	}, nil
}

// ParseStorePath returns the name and the version in the name of a store path.
func ParseStorePath(storePath string) (name, version string) {
	_, storeName, _ := strings.Cut(path.Base(storePath), "-")
	return parseStoreName(storeName)
}

// parseStoreName splits the name of a store path into name and version. The version
// starts after the first dash that no letter follows.
// https://nix.dev/manual/nix/latest/language/builtins#builtins-parseDrvName
func parseStoreName(storeName string) (name, version string) {
	for i := 0; i+1 < len(storeName); i++ {
		if storeName[i] == '-' && !isLetter(storeName[i+1]) {
			return storeName[:i], storeName[i+1:]
		}
	}
	return storeName, ""
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// nixPURL returns a package URL of type nix, which purl-spec does not define, in syft's form.
// It has the NAR hash as well, because the output hash is the hash of the inputs, and the NAR
// hash that of the content.
func nixPURL(name, version, outputHash, narHash string) string {
	return packageurl.NewPackageURL(nixType, "", name, version,
		packageurl.QualifiersFromMap(map[string]string{"outputhash": outputHash, "narhash": narHash}), "").ToString()
}
