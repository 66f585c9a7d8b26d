package site

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
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

// appView is what is shown of an app: its newest release in full, and the others as a list.
type appView struct {
	*summary
	Document *describe.Application
	Release  *releaseView // nil if none verifies
	Needs    []needRow    // of an app without a release
	Ports    []portRow
	Lists    []releaseList
}

// releaseList lists the releases of a variant, the newest first.
type releaseList struct {
	Variant string
	Rows    []releaseRow
	More    int // older ones, which are left out
}

type releaseRow struct {
	*Release
	Path  string
	Tally *tally
}

// mostReleases is how many releases of a variant a page lists.
const mostReleases = 100

func (w *Writer) appView(app *App, s *summary) func(*language) any {
	return func(l *language) any {
		view := &appView{summary: s, Document: app.Document, Lists: releaseLists(app)}
		if newest := app.newest(); newest != nil {
			view.Release = w.releaseView(app, newest)(l).(*releaseView)
		} else if app.Document != nil {
			view.Needs, view.Ports = needRows(app.Document), portRows(app.Document)
		}
		return view
	}
}

func releaseLists(app *App) []releaseList {
	var lists []releaseList
	for i := range app.Releases {
		r := &app.Releases[i]
		if len(lists) == 0 || lists[len(lists)-1].Variant != r.Variant {
			lists = append(lists, releaseList{Variant: r.Variant})
		}
		list := &lists[len(lists)-1]
		if len(list.Rows) == mostReleases {
			list.More++
			continue
		}
		row := releaseRow{Release: r, Path: releasePath(app.Name, r)}
		if r.Verified {
			row.Tally = newTally(r.Images)
		}
		list.Rows = append(list.Rows, row)
	}
	return lists
}

func (w *Writer) releaseView(app *App, r *Release) func(*language) any {
	view := &releaseView{Release: r, App: app.Name, Path: releasePath(app.Name, r), AppPath: appPath(app.Name)}
	if r.Verified {
		view.Images, view.Tally = imageViews(app.Name, r), newTally(r.Images)
		view.Commands = commands(app.Name, r, w.catalogue.Signer)
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
			row := portRow{Component: component, Name: name, Port: fmt.Sprintf("%d/%s", port.Port, port.Protocol), Public: port.Access == "public"}
			if c.Health != nil && (c.Health.Port == name || c.Health.TCP == name || c.Health.GRPC == name || len(c.Ports) == 1) {
				row.Health = c.Health.Path
			}
			rows = append(rows, row)
		}
	}
	return rows
}

type needRow struct {
	Name     string
	Details  []string
	Required bool
	describe.Need
}

// kinds are the names of what kinds of needs are provided by, where they have one.
var kinds = map[string]string{
	"postgres": "PostgreSQL", "mysql": "MySQL", "redis": "Redis", "bucket": "S3", "oidc": "OpenID Connect", "smtp": "SMTP", "livekit": "LiveKit", "llm": "LLM", "http": "HTTP",
}

func needRows(document *describe.Application) []needRow {
	var rows []needRow
	for _, name := range slices.Sorted(maps.Keys(document.Spec.Needs)) {
		need := document.Spec.Needs[name]
		row := needRow{Name: name, Need: need, Required: !need.Optional}
		for _, detail := range []string{need.Version, strings.Join(need.Extensions, ", "), need.Size, need.Access, need.Path, need.App} {
			if detail != "" {
				row.Details = append(row.Details, detail)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// KindName is what people call the kind.
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

// mostSettings is how many settings a page lists.
const mostSettings = 200

func settingRows(document *describe.Application) Settings {
	all := maps.Clone(document.Spec.Config)
	if all == nil {
		all = map[string]describe.Setting{}
	}
	for _, component := range document.Spec.Components {
		for _, service := range component.Services {
			maps.Copy(all, service.Config)
		}
	}
	var settings Settings
	for _, required := range []bool{true, false} {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if all[name].Required == required {
				settings.Settings = append(settings.Settings, settingRow{name, all[name]})
			}
		}
	}
	if more := len(settings.Settings) - mostSettings; more > 0 {
		settings.MoreSets, settings.Settings = more, settings.Settings[:mostSettings]
	}
	return settings
}
