// Updater has Flux's image-automation-controller update a checkout in place, as its reconciler does between clone and
// commit. The packages are internal to the controller; Go tells that by the importer's path, so this module's lies
// below the controller's. Reads the ImagePolicies from standard input, as a JSON array; prints how many files changed,
// the milliseconds it took and the most memory that was resident, in KiB (Linux only).
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	automation "github.com/fluxcd/image-automation-controller/api/v1"
	"github.com/fluxcd/image-automation-controller/internal/policy"
	reflector "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: updater CHECKOUT <POLICIES")
		os.Exit(2)
	}
	if err := update(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func update(checkout string) error {
	var policies []reflector.ImagePolicy
	if err := json.NewDecoder(os.Stdin).Decode(&policies); err != nil {
		return err
	}
	var all automation.ImageUpdateAutomation
	all.Spec.Update = &automation.UpdateStrategy{Strategy: automation.UpdateStrategySetters}
	quiet := log.IntoContext(context.Background(), logr.Discard())
	start := time.Now()
	result, err := policy.ApplyPolicies(quiet, checkout, &all, policies)
	took := time.Since(start)
	if err != nil {
		return err
	}
	fmt.Println(len(result.FileChanges), float64(took.Microseconds())/1000, peak())
	return nil
}

func peak() string {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			return strings.TrimSuffix(strings.TrimSpace(rest), " kB")
		}
	}
	return "-"
}
