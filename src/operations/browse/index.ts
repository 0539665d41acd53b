/** Inventory queries: users and their items, a page at a time. */
export { cursorOf, pageOf, readCursor, type Page } from './cursor.ts';
export { selectItemsOfEvent, selectItemsOfId } from './find.sql.ts';
export { ITEM_STATUSES, selectItemPage, type ItemFilter, type ItemStatus, type ListedItemRow } from './items.sql.ts';
export { selectUser, selectUsers, type UserRow } from './users.sql.ts';
