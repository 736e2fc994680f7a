// A dashboard as Grafana's published packages describe it, strictly: what they leave open (the
// options of panels, queries) is taken from the types of the panel and of the data source.
import type {
  AnnotationQuery,
  Dashboard,
  FieldConfigSource,
  GraphFieldConfig,
  Panel,
  RowPanel,
  TableOptions,
} from '@grafana/schema';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TimeSeriesOptions } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';

// In JSON, the members of string enums are their texts.
type Json<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends (infer U)[]
      ? Json<U>[]
      : T extends object
        ? { [K in keyof T]: Json<T[K]> }
        : T;

// What the packages only describe as "any object" is left out and given again below.
type Common = Omit<Json<Panel>, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  description: string;
  targets: (Omit<Json<Dataquery>, 'datasource' | '_implementsDataqueryVariant'> & {
    expr: string;
    refId: string;
    datasource: { type: 'prometheus'; uid: string };
  })[];
};
type Fields<Custom> = Json<Omit<FieldConfigSource, 'defaults'>> & {
  defaults: Omit<Json<FieldConfigSource['defaults']>, 'custom'> & { unit: string; custom?: Custom };
};

type Checked =
  | (Common & { type: 'timeseries'; options: Json<Omit<TimeSeriesOptions, 'annotations'>>; fieldConfig: Fields<Json<GraphFieldConfig>> })
  | (Common & { type: 'stat'; options: Json<Omit<StatOptions, 'text'>>; fieldConfig: Fields<never> })
  | (Common & { type: 'table'; options: Json<Omit<TableOptions, 'frameIndex'>>; fieldConfig: Fields<never> })
  | (Omit<Json<RowPanel>, 'type'> & { type: 'row' });

export type CheckedDashboard = Omit<Json<Dashboard>, 'panels' | 'annotations'> & {
  panels: Checked[];
  annotations: {
    list: (Omit<Json<AnnotationQuery>, 'target'> & {
      target: { refId: string; expr: string };
      titleFormat: string;
      textFormat: string;
    })[];
  };
};
