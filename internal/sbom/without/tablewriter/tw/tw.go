// Package tw has the names of a table's settings.
package tw

// State would be a switch.
type State int

const (
	On       State = 1
	Off      State = -1
	WrapNone       = 0
)

// AlignLeft would be a column's side.
const AlignLeft = "left"

// StyleNone would be a border without lines.
const StyleNone = 0

type (
	Behavior   struct{ TrimSpace, AutoHide State }
	Padding    struct{ Left, Right, Top, Bottom string }
	Border     struct{ Left, Right, Top, Bottom State }
	Separators struct{ ShowHeader, ShowFooter, BetweenRows, BetweenColumns State }
	Lines      struct{ ShowTop, ShowBottom, ShowHeaderLine, ShowFooterLine State }
	Settings   struct {
		Separators Separators
		Lines      Lines
	}
	Rendition struct {
		Symbols  any
		Borders  Border
		Settings Settings
	}
)

// NewSymbols returns nil.
func NewSymbols(any) any { return nil }
