export { Catalogue, type Found } from './catalogue.ts';
export { isBlueprintId, mappingText, PRINT_TABLES, printText, type Mapping, type Print, type PrintTable } from './mapping.ts';
export type { CatalogueObserver, Source } from './observer.ts';
export { openCatalogue, type OpenCatalogue, type OpenOptions } from './open.ts';
export { countPrints } from './prints.sql.ts';
export { seedCatalogue, type SeedOptions } from './seed.ts';
export { warm, warmAll, type WarmCounts } from './warm.ts';
