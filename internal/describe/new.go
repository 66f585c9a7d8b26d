package describe

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/libresh/libre/internal/catalog"
)

// New returns the document of an app and variant, from an evaluation that asked for
// descriptions. Its images have no digests: see [Application.Publish].
func New(app catalog.App, variant string) (*Application, error) {
	text, known := app.Described[variant]
	if !known {
		return nil, fmt.Errorf("describing %s: it has no variant %s", app.Name, variant)
	}
	a := &Application{
		APIVersion: APIVersion, Kind: Kind, Metadata: Metadata{Name: app.Name},
		Spec: Spec{
			Version: app.Version, PackageVersion: app.PackageVersion, Variant: variant,
			Description: app.Meta.Description, Homepage: app.Meta.Homepage, License: app.Meta.License, Changelog: app.Meta.Changelog,
		},
	}
	if app.Source != nil {
		a.Spec.Source, a.Spec.Revision = app.Source.Page, app.Source.Revision
	}
	if err := decodeStrictly(text, &a.Spec); err != nil {
		return nil, fmt.Errorf("describing %s: %w", app.Name, err)
	}
	for name, component := range a.Spec.Components {
		id := catalog.ID{App: app.Name, Component: name, Variant: variant}
		component.Image = &Image{Reference: catalog.Ref{Repository: id.Name(), Tag: catalog.Tag(app.Version, app.PackageVersion)}.String()}
		a.Spec.Components[name] = component
	}
	return a, nil
}

// decodeStrictly returns an error for a field that the type does not have.
func decodeStrictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
