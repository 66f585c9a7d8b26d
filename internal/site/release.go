package site

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/text"
)

// releaseView is what is shown of a release.
type releaseView struct {
	*Release
	App     string
	Path    string
	AppPath string
	Images  []imageView
	Ports   []portRow
	Needs   []needRow
	Settings
	Commands []command
	Changes  *changesView
	Tally    *tally
	Size     int64 // of all images, each for its first platform
}

// appView is what is shown of an app: its newest release in full, and its releases as a list.
type appView struct {
	*summary
	Document *describe.Application
	Release  *releaseView // nil if none verifies
	Needs    []needRow    // of an app without a release
	Ports    []portRow
	Rows     []releaseRow
	All      string // path of the list of all releases; "" if Rows are all
}

func (w *Writer) appView(app *App, s *summary) func(*language) any {
	return func(l *language) any {
		view := &appView{summary: s, Document: app.Document, Rows: newestReleases(app)}
		if len(view.Rows) < len(app.Releases) {
			view.All = releasesPath(app.Name)
		}
		if newest := app.newest(); newest != nil {
			view.Release = w.releaseView(app, newest)(l).(*releaseView)
		} else if app.Document != nil {
			view.Needs, view.Ports = needRows(app.Document), portRows(app.Document)
		}
		return view
	}
}

func (w *Writer) releaseView(app *App, r *Release) func(*language) any {
	view := &releaseView{Release: r, App: app.Name, Path: releasePath(app.Name, r), AppPath: appPath(app.Name)}
	if r.Verified {
		view.Images, view.Tally = imageViews(app.Name, r), newTally(r.Images)
		if r.Withdrawn == nil {
			view.Commands = commands(app.Name, r, w.catalogue.Signer)
		}
		view.Size = sizeOf(r)
	}
	if r.Verified && r.Document != nil {
		view.Ports, view.Needs, view.Settings = portRows(r.Document), needRows(r.Document), settingRows(r.Document)
	}
	return func(l *language) any {
		translated := *view
		if r.Verified && r.Changes != nil {
			translated.Changes = newChangesView(r.Changes, l)
		}
		return &translated
	}
}

// sizeOf is the sum of the images, each for its first platform.
func sizeOf(r *Release) int64 {
	var sum int64
	for _, image := range r.Images {
		if len(image.Platforms) > 0 {
			sum += image.Platforms[0].Size
		}
	}
	return sum
}

type portRow struct {
	Component, Name, Port string
	Public                bool
	Health                string
}

func portRows(document *describe.Application) []portRow {
	var rows []portRow
	for _, component := range slices.Sorted(maps.Keys(document.Spec.Components)) {
		c := document.Spec.Components[component]
		for _, name := range slices.Sorted(maps.Keys(c.Ports)) {
			port := c.Ports[name]
			row := portRow{Component: component, Name: text.Name(name), Port: fmt.Sprintf("%d/%s", port.Port, port.Protocol), Public: port.Access == "public"}
			if c.Health != nil && (c.Health.Port == name || c.Health.TCP == name || c.Health.GRPC == name || len(c.Ports) == 1) {
				row.Health = text.Short(c.Health.Path, mostOfCell)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

type needRow struct {
	Name, Description, Kind string
	Details                 []string
	Required                bool
}

// kinds are the names of what kinds of needs are provided by, where they have one.
var kinds = map[string]string{
	"postgres": "PostgreSQL", "mysql": "MySQL", "redis": "Redis", "bucket": "S3", "oidc": "OpenID Connect", "smtp": "SMTP", "livekit": "LiveKit", "llm": "LLM", "http": "HTTP",
}

func needRows(document *describe.Application) []needRow {
	var rows []needRow
	for _, name := range slices.Sorted(maps.Keys(document.Spec.Needs)) {
		need := document.Spec.Needs[name]
		row := needRow{Name: name, Description: text.Short(need.Description, mostOfText), Kind: need.Kind, Required: !need.Optional}
		for _, detail := range []string{need.Version, strings.Join(need.Extensions, ", "), need.Size, need.Access, need.Path, need.App} {
			if detail != "" {
				row.Details = append(row.Details, text.Short(detail, mostOfCell))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// KindName returns the usual name of a kind.
func (n needRow) KindName() string {
	if name, known := kinds[n.Kind]; known {
		return name
	}
	return n.Kind
}

// Settings are what can be set, the required ones first.
type Settings struct {
	Settings []settingRow
	MoreSets int // which are left out
}

type settingRow struct {
	Name string
	describe.Setting
}

// mostSettingBytes is how many bytes of HTML a page has of settings.
const mostSettingBytes = 15_000

func settingRows(document *describe.Application) Settings {
	var settings Settings
	for _, s := range allSettings(document) {
		s.Description, s.Value, s.Default = text.Short(s.Description, mostOfText), text.Short(s.Value, mostOfCell), text.Short(s.Default, mostOfCell)
		settings.Settings = append(settings.Settings, settingRow{text.Name(s.Name), s.Setting})
	}
	settings.Settings, settings.MoreSets = fitting(settings.Settings, mostSettingBytes, func(s settingRow) []string {
		return []string{s.Name, s.Description, s.Value, s.Default}
	})
	return settings
}

// allSettings are those of the app and of its services, the required ones first.
func allSettings(document *describe.Application) []settingRow {
	all := map[string]describe.Setting{}
	maps.Copy(all, document.Spec.Config)
	for _, component := range document.Spec.Components {
		for _, service := range component.Services {
			maps.Copy(all, service.Config)
		}
	}
	var rows []settingRow
	for _, required := range []bool{true, false} {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if all[name].Required == required {
				rows = append(rows, settingRow{name, all[name]})
			}
		}
	}
	return rows
}
