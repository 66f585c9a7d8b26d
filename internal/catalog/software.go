package catalog

// Software is what the definition says about the program in an image. SBOMs contain it.
// None of it is part of the image key.
type Software struct {
	Source      *Source         `json:"source"`
	Patches     []SoftwarePatch `json:"patches"`
	Identifiers Identifiers     `json:"identifiers"`
	Program     string          `json:"program,omitempty"` // store path of a Nix image's package
}

// SoftwarePatch is a patch of the program's source.
type SoftwarePatch struct {
	Name  string   `json:"name"`  // of the patch's file
	Hash  string   `json:"hash"`  // of the patch's content: sha256:BASE16, or SRI
	URL   string   `json:"url"`   // where the patch comes from; "" if the definition does not say
	Fixes []string `json:"fixes"` // IDs of vulnerabilities
}

// Identifiers are the names of a program in vulnerability databases.
type Identifiers struct {
	CPE  string `json:"cpe"`  // 2.3
	PURL string `json:"purl"` // instead of the one that follows from the source
}
