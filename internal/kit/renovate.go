package kit

// renovatePreset is a preset of Renovate: https://docs.renovatebot.com/config-presets/
type renovatePreset struct {
	Schema       string         `json:"$schema"`
	Description  []string       `json:"description"`
	PackageRules []renovateRule `json:"packageRules"`
}

// renovateRule is one of Renovate's packageRules, https://docs.renovatebot.com/configuration-options/
type renovateRule struct {
	Description      []string `json:"description"`
	MatchDatasources []string `json:"matchDatasources"`
	MatchPackages    []string `json:"matchPackageNames"`
	Versioning       string   `json:"versioning"`
	AllowedVersions  string   `json:"allowedVersions"`
	PinDigests       bool     `json:"pinDigests"`
}

const (
	renovateSchema = "https://docs.renovatebot.com/renovate-schema.json"

	// renovateTag leaves out moving tags, which have no package version.
	renovateTag = `/^.+-[1-9][0-9]*$/`

	// In PEP 440, 1.2.3-4 is the fourth post-release of 1.2.3: above 1.2.3-3, below all of
	// 1.2.4, with any number of parts. 2025.1-rc1-3 is one of a prerelease.
	// https://peps.python.org/pep-0440/#implicit-post-releases
	renovateVersioning = "pep440"

	// The app version must stay as it is. The package version is a patch.
	// https://docs.renovatebot.com/modules/versioning/regex/
	renovateRepackVersioning = `regex:^(?<compatibility>.+)-(?<patch>[1-9]\d*)$`
)

// Renovate writes two presets for the images: libre follows app versions and package
// versions, libre-repack only package versions.
func Renovate(places Places) ([]File, error) {
	var images []string
	for _, prefix := range places.prefixes() {
		images = append(images, prefix+"/**")
	}
	preset := func(name, follows, versioning string) (File, error) {
		return jsonFile("renovate/"+name+".json", renovatePreset{
			Schema:      renovateSchema,
			Description: []string{follows},
			PackageRules: []renovateRule{{
				Description:      []string{"Tags are APPVERSION-PACKAGEVERSION. They never change, so digests may be pinned."},
				MatchDatasources: []string{"docker"}, MatchPackages: images,
				Versioning: versioning, AllowedVersions: renovateTag, PinDigests: true,
			}},
		})
	}
	all, err := preset("libre", "Follow new app versions and package versions of libre's images.", renovateVersioning)
	if err != nil {
		return nil, err
	}
	repack, err := preset("libre-repack", "Follow package versions of libre's images, and stay on the app version.", renovateRepackVersioning)
	if err != nil {
		return nil, err
	}
	return []File{all, repack}, nil
}
