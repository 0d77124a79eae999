import { Component, type ReactNode } from "react";
import { ErrorState } from "../ui/states";

interface State {
  error: unknown;
  failed: boolean;
}

/** Shows what failed in the place of a part that failed; the rest of the page goes on. */
export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: undefined, failed: false };

  static getDerivedStateFromError(error: unknown): State {
    return { error, failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return <ErrorState error={this.state.error} onRetry={() => this.setState({ error: undefined, failed: false })} />;
  }
}
