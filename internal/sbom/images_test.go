package sbom

import (
	"slices"
	"strings"
	"testing"
)

// two returns the SBOMs of two images of one app. The images share store paths, and each has a
// package with the same name.
func two(t *testing.T) (server, frontend *Document) {
	t.Helper()
	server = small(t)
	server.Creator = "https://coop.example"
	frontend = &Document{Subject: subject("docs-frontend-default"), Tools: server.Tools, Creator: server.Creator}
	frontend.Subject.Manifest.Hex = strings.Repeat("3c", 32)
	closure, root := smallClosure()
	nixPart, err := FromClosure(frontend.Subject, closure, "", root)
	if err != nil {
		t.Fatal(err)
	}
	nixPart.Tools = server.Tools
	nixPart.Creator = server.Creator
	rest := findings(Component{ID: "pkg:npm/left@1.0", Name: "left", Version: "1.0", Type: "npm", PURL: "pkg:npm/left@1.0", Where: []string{"/left"}})
	frontend = Merge(nixPart, smallFindings(), rest).Describe(Metadata{Application: Application{Facts: Facts{Name: "docs", Version: "1.2.3", PURL: "pkg:github/own/docs@v1.2.3", License: "MIT"}}})
	return server, frontend
}

// One document of an app has each image, each store path once, and the packages of each image.
func TestMergeImages(t *testing.T) {
	server, frontend := two(t)
	merged, err := MergeImages("docs-default", "1.2.3-4", []*Document{server, frontend})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{server.Subject.PURL(), frontend.Subject.PURL()}; !slices.Equal(merged.DependsOn, unique(want)) {
		t.Errorf("the app depends on %q", merged.DependsOn)
	}
	storePaths, images, applications, left := 0, 0, 0, 0
	for _, c := range merged.Components {
		switch {
		case c.StorePath != "":
			storePaths++
		case c.Type == containerType:
			images++
			if len(c.DependsOn) == 0 {
				t.Errorf("%s depends on nothing", c.ID)
			}
		case c.Type == applicationType:
			applications++
		case c.Name == "left":
			left++
			if !strings.HasPrefix(c.ID, frontend.Subject.PURL()+separator) {
				t.Errorf("left is %s", c.ID)
			}
		}
	}
	if storePaths != 4 || images != 2 || applications != 1 || left != 1 {
		t.Errorf("%d store paths, %d images, %d applications, %d left", storePaths, images, applications, left)
	}
	cyclonedx, _ := encode(t, merged)
	again, err := MergeImages("docs-default", "1.2.3-4", []*Document{server, frontend})
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := encode(t, again); string(second) != string(cyclonedx) {
		t.Error("merged again, it is another document")
	}
	for _, c := range merged.Components {
		if merged.Paths().To(c.ID) == nil {
			t.Errorf("the app does not reach %s", c.ID)
		}
	}
	other := *frontend
	other.Tools = []Tool{{"syft", "v0"}}
	for _, images := range [][]*Document{nil, {server, &other}, {server, {}}} {
		if got, err := MergeImages("docs", "1", images); err == nil {
			t.Errorf("merged %d images to %s", len(images), got.Subject.Name)
		}
	}
}

// MissingForBSI lists each missing field that BSI TR-03183-2 requires, and no other.
func TestMissingForBSI(t *testing.T) {
	complete := func() *Document {
		d := &Document{Subject: subject("docs"), Tools: []Tool{{"libre", "1"}}, Creator: "info@coop.example", License: License{Expression: "MIT"}}
		file := File{Name: "x", SHA512: strings.Repeat("0f", 64)}
		d.Components = []Component{
			{ID: "/nix/store/x", Name: "x", Version: "1", StorePath: "/nix/store/x", Where: []string{"/nix/store/x"}, Type: nixType, Creator: "https://x.example", License: License{"MIT", true}, File: file},
			{ID: "/nix/store/x#y", Name: "y", Version: "1", Where: []string{"/nix/store/x/y"}, Type: "npm", Creator: "y@x.example", License: License{"MIT", true}, File: file},
			{ID: "pkg:generic/docs@1", Name: "docs", Version: "1", Type: applicationType, Creator: "https://x.example", License: License{Expression: "MIT"}},
			{ID: "pkg:nix/z", Name: "z", Version: "1", Type: nixType, Where: []string{"/nix/store/z"}, Creator: "https://x.example", License: License{Expression: "MIT"}},
		}
		return d
	}
	if got := complete().MissingForBSI(); got != nil {
		t.Errorf("of a complete document %+v is missing", got)
	}
	for _, test := range []struct {
		name, id, want string
		change         func(*Document)
	}{
		{"creator of the SBOM", "", "creator of the SBOM", func(d *Document) { d.Creator = "" }},
		{"a name as creator of the SBOM", "", "creator of the SBOM", func(d *Document) { d.Creator = "The Co-op" }},
		{"creator", "/nix/store/x", "component creator", func(d *Document) { d.Components[0].Creator = "" }},
		{"a name as creator", "/nix/store/x#y", "component creator", func(d *Document) { d.Components[1].Creator = "Ms Y" }},
		{"version", "pkg:generic/docs@1", "component version", func(d *Document) { d.Components[2].Version = "" }},
		{"name", "/nix/store/x#y", "component name", func(d *Document) { d.Components[1].Name = "" }},
		{"licence", "pkg:nix/z", "distribution licences", func(d *Document) { d.Components[3].License = License{} }},
		{"file", "/nix/store/x", "filename of the component, hash value of the deployable component", func(d *Document) { d.Components[0].File = File{} }},
		{"hash", "/nix/store/x#y", "hash value of the deployable component", func(d *Document) { d.Components[1].File.SHA512 = "" }},
		{"licence of the image", subject("docs").PURL(), "distribution licences", func(d *Document) { d.License = License{} }},
	} {
		d := complete()
		test.change(d)
		found := false
		for _, missing := range d.MissingForBSI() {
			found = found || missing.ID == test.id && strings.Join(missing.Fields, ", ") == test.want
		}
		if !found {
			t.Errorf("%s: missing is %+v", test.name, d.MissingForBSI())
		}
	}
}
