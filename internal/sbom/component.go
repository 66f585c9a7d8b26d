package sbom

// Component is a store path, or a package found in files.
type Component struct {
	ID        string   // unique in a document: the store path, or the package URL, prefixed by the store path that has the package
	Name      string   // in its ecosystem: openssl, @babel/core, golang.org/x/text
	Version   string   // may be empty
	Type      string   // the ecosystem in syft's words: nix, go-module, deb, npm, …
	PURL      string   // https://github.com/package-url/purl-spec; may be empty
	StorePath string   // of a Nix component: /nix/store/HASH-NAME
	NarHash   string   // of a Nix component: sha256:BASE16
	Where     []string // absolute paths in the image, sorted
	DependsOn []string // IDs of its dependencies, sorted

	File    File     `json:",omitzero"`  // the component's own file, or the file that contains it
	Creator string   `json:",omitempty"` // URL, or email address
	License License  `json:",omitzero"`
	CPEs    []string `json:",omitempty"` // CPE 2.3 names, sorted
	Source  Source   `json:",omitzero"`  // what it was built from, before patches
	Patches []Patch  `json:",omitempty"` // in the order in which they are applied
}

// File is the file or folder in which a component is delivered.
type File struct {
	Name       string // without its folder
	SHA512     string // BASE16; for a folder, the hash of its NAR serialisation
	Executable bool   // it is a program, or contains one
	Archive    bool   // it contains other files
}

// License is the license of a component.
type License struct {
	Expression string // SPDX license expression; empty if it is unknown
	Concluded  bool   // found in the component's files, rather than declared by its authors or its definition
}

// Source is the fixed-output source that a component was built from.
type Source struct {
	URL  string
	Hash string // SRI: sha256-BASE64
}

// Patch is a change of a component's source.
type Patch struct {
	Name     string   // its file's name
	URL      string   // where it comes from; may be empty
	Hash     string   // of the diff: sha256:BASE16
	Resolves []string // IDs of the vulnerabilities that it fixes, sorted
}
