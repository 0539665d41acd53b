import type { Random } from '../platform/random.ts';
import type { Blueprint, EditableProperty, Expansion, Game } from './model.ts';
import type { Catalogue } from './store.ts';

/** A catalogue of made-up cards with the oddities of the real one: foil-only cards, Chinese, missing ids, text defaults of booleans. */
const GAMES: readonly Game[] = [
  { id: 1, name: 'Magic', display_name: 'Magic: the Gathering' },
  { id: 4, name: 'YuGiOh', display_name: 'Yu-Gi-Oh!' },
  { id: 5, name: 'Pokemon', display_name: 'Pokémon' },
  { id: 6, name: 'Flesh and Blood', display_name: 'Flesh and Blood' },
  { id: 15, name: 'One Piece', display_name: 'One Piece' },
  { id: 18, name: 'Lorcana', display_name: 'Disney Lorcana' },
];
const EXPANSIONS_A_GAME = 4;
const FIRST = ['Ancient', 'Burning', 'Crystal', 'Dreaming', 'Emerald', 'Fallen', 'Gilded', 'Hollow', 'Ivory', 'Jagged'];
const SECOND = ['Dragon', 'Sentinel', 'Forest', 'Oracle', 'Blade', 'Harbor', 'Serpent', 'Titan', 'Witch', 'Engine'];
const CONDITIONS = ['Near Mint', 'Slightly Played', 'Moderately Played', 'Played', 'Poor'];
const MAGIC_LANGUAGES = ['en', 'fr', 'de', 'it', 'jp', 'kr', 'pt', 'ru', 'es', 'zh-CN', 'zh-TW'];
const LANGUAGES = ['en', 'fr', 'de', 'it', 'jp'];
const RARITIES = ['Common', 'Uncommon', 'Rare', 'Mythic'];

/** `blueprints` cards over all games, most of them Magic, as on the marketplace. */
export function makeCatalogue(random: Random, blueprints: number): Catalogue {
  const expansions = GAMES.flatMap((game): Expansion[] =>
    Array.from({ length: EXPANSIONS_A_GAME }, (_, index) => ({ id: game.id * 100 + index + 1, game_id: game.id, code: `s${game.id}${index + 1}`, name: `${game.name} Set ${index + 1}` })),
  );
  return { games: GAMES, expansions, blueprints: Array.from({ length: blueprints }, (_, index) => makeBlueprint(random, expansions, index)) };
}

function makeBlueprint(random: Random, expansions: readonly Expansion[], index: number): Blueprint {
  const game = (random.chance(0.6) ? GAMES[0] : GAMES[random.below(GAMES.length)]) ?? { id: 1 };
  const own = expansions.filter((expansion) => expansion.game_id === game.id);
  const name = `${FIRST[index % FIRST.length]} ${SECOND[Math.floor(index / FIRST.length) % SECOND.length]} ${Math.floor(index / (FIRST.length * SECOND.length)) + 1}`;
  const foil = random.below(10);
  return {
    id: 10_000 + index,
    name,
    version: random.chance(0.5) ? null : '',
    game_id: game.id,
    category_id: CATEGORIES[game.id] ?? 1,
    expansion_id: random.chance(0.02) ? null : (own[random.below(own.length)]?.id ?? null),
    image_url: random.chance(0.1) ? '/fallbacks/card.png' : `/uploads/blueprints/${index}.jpg`,
    editable_properties: editableProperties(game.id, foil === 0 ? 'only' : foil < 3 ? 'never' : 'both'),
    fixed_properties: { collector_number: String(index + 1), ...(game.id === 1 && { mtg_rarity: RARITIES[random.below(RARITIES.length)] ?? 'Common' }) },
    scryfall_id: game.id === 1 && !random.chance(0.1) ? random.uuidV4() : null,
    card_market_ids: random.chance(0.1) ? [] : [500_000 + index],
    tcg_player_id: random.chance(0.2) ? null : 200_000 + index,
  };
}

const CATEGORIES: Readonly<Record<number, number>> = { 1: 1, 4: 44, 5: 73, 6: 80, 15: 192, 18: 214 };

/** What a seller may say about a card of a game. */
export function editableProperties(gameId: number, foil: 'both' | 'only' | 'never'): EditableProperty[] {
  const finish = foil === 'both' ? [true, false] : [foil === 'only'];
  const always = [choice('condition', CONDITIONS), flag('signed'), flag('altered')];
  switch (gameId) {
    case 1:
      return [...always, { name: 'mtg_foil', type: 'boolean', possible_values: finish, default_value: String(foil === 'only') }, choice('mtg_language', MAGIC_LANGUAGES)];
    case 4:
      return [...always, flag('first_edition'), choice('yugioh_language', LANGUAGES)];
    case 5:
      return [...always, flag('first_edition'), flag('pokemon_reverse'), choice('pokemon_language', LANGUAGES)];
    case 6:
      return [...always, { name: 'fab_foil', type: 'boolean', possible_values: finish, default_value: String(foil === 'only') }, choice('fab_language', LANGUAGES)];
    case 15:
      return [...always, choice('onepiece_language', LANGUAGES)];
    default:
      return [...always, { name: 'lorcana_foil', type: 'boolean', possible_values: finish, default_value: String(foil === 'only') }, choice('lorcana_language', LANGUAGES)];
  }
}

const choice = (name: string, values: readonly string[]): EditableProperty => ({ name, type: 'string', possible_values: values, default_value: values[0] ?? '' });
const flag = (name: string): EditableProperty => ({ name, type: 'boolean', possible_values: [true, false], default_value: 'false' });
